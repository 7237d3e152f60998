// The content of a training run's events: what is the same in every run of the same specification, however often killed.

/** Fields of events that are measured, not computed: `training.proto` marks them by "Measured:". */
export const measuredFields: readonly string[] = [
  'time',
  'seconds',
  'pairsPerSecond',
  'dataWaitFraction',
  'dataWaitSeconds',
  'residentBytes',
  'tensorCount',
];

/** A copy of an event (a message of `kindred.training.v1`, any depth) without its measured fields. */
export function eventContent(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(eventContent);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => !measuredFields.includes(key));
  return Object.fromEntries(kept.map(([key, item]) => [key, eventContent(item)]));
}

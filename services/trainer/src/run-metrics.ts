// Metrics of the runs under way: how many wait and why, how many train, how long the longest has waited.
import { counter, gauge } from '@kindred/service-runtime';

/** What a run waits for: what a person would do about it is different for each. */
export const waitReasons = ['turn', 'queue', 'scheduling', 'quota', 'image', 'api', 'starting'] as const;

/**
 * `turn`: runs before it on this machine; `queue`: Kueue, or a person who holds it; `scheduling`: a node with room; `quota`: one of
 * the namespace; `image`: its container cannot be started; `api`: the API server; `starting`: nothing that is known.
 */
export type WaitReason = (typeof waitReasons)[number];

const underWay = new Map<string, { readonly reason: WaitReason | null; readonly since: number }>();

const runs = gauge('kindred_trainer_runs', 'Runs that wait (pending) or train (running).', ['state']);
const waiting = gauge('kindred_trainer_waiting_runs', 'Runs that wait, by what for.', ['reason']);
gauge(
  'kindred_trainer_longest_wait_seconds',
  'How long the run that has waited longest waits; 0: none does.',
  [],
  () => {
    const since = [...underWay.values()].filter(({ reason }) => reason !== null).map((run) => run.since);
    return since.length === 0 ? 0 : (Date.now() - Math.min(...since)) / 1000;
  },
);
const ended = counter('kindred_trainer_ended_runs_total', 'Runs that this trainer has seen to their end, by how.', [
  'state',
]);
for (const state of ['succeeded', 'failed', 'cancelled']) ended.inc({ state }, 0);
show();

/** Counts a run that has ended so. */
export function countEnd(state: string): void {
  ended.inc({ state });
}

/** Says what a run waits for; null: it trains. A wait for something else is the same wait. */
export function countRun(runId: string, reason: WaitReason | null): void {
  const before = underWay.get(runId);
  if (before?.reason === reason) return;
  const isSameWait = before !== undefined && before.reason !== null && reason !== null;
  underWay.set(runId, { reason, since: isSameWait ? before.since : Date.now() });
  show();
}

/** The run has come to rest, or is left to another process. */
export function uncountRun(runId: string): void {
  underWay.delete(runId);
  show();
}

function show(): void {
  const reasons = [...underWay.values()].map(({ reason }) => reason);
  runs.set({ state: 'running' }, reasons.filter((reason) => reason === null).length);
  runs.set({ state: 'pending' }, reasons.filter((reason) => reason !== null).length);
  for (const reason of waitReasons) waiting.set({ reason }, reasons.filter((one) => one === reason).length);
}

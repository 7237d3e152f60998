// One side of a comparison: a process that stays, does a round of work when it is told to, and rests in between.
import { KindredError } from '@kindred/errors';

/** What a round took. */
export interface RoundResult {
  /** Time of the work itself, measured by the process that did it. */
  readonly seconds: number;
  /** What came out of it: images, views or pairs; the suite says which. */
  readonly items: number;
  /** The process's largest resident memory since its start, in MiB (VmHWM of Linux); null where that is not known. */
  readonly peakMiB: number | null;
  /** What the process holds of the GPU's memory after it, in MiB; absent or null without a GPU, or where that is not known. */
  readonly deviceMiB?: number | null;
}

/** A running side. */
export interface Contestant {
  /** Versions of the libraries that do its work, by name. */
  readonly versions: Readonly<Record<string, string>>;
  /** Does `steps` steps of work; what a step is, the suite says. */
  round(steps: number): Promise<RoundResult>;
  close(): Promise<void>;
}

/** Items a second. INTERNAL for a round in which nothing was done. */
export function rateOf({ seconds, items }: RoundResult): number {
  if (seconds > 0 && items > 0) return items / seconds;
  throw new KindredError('INTERNAL', `a side made ${items} items in ${seconds} s; allowed: more than 0 of both`);
}

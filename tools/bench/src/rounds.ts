// Rounds that alternate between the sides, so that a machine that grows slower or busier does so for all of them.
import { coresOfOthers, disturbingCores, sampleCpu, waitForQuiet } from './cpu-use.js';

/** What one round of one side gave. */
export interface Round {
  /** In the unit of the comparison. */
  readonly figure: number;
  /** Cores that processes of others used meanwhile; null where that is not known. */
  readonly othersCores: number | null;
}

/** Each side's rounds, in the order in which they were measured. */
export type Rates<Side extends string> = Readonly<Record<Side, readonly Round[]>>;

/** How the machine is watched. */
export interface Watch {
  /** Waits until the machine is quiet, or gives up. */
  quiet(): Promise<void>;
  /** Begins to watch; the result says how many cores others used since then. */
  begin(): () => number | null;
}

/** The machine as /proc shows it. */
export const machineWatch: Watch = {
  quiet: () => waitForQuiet(patienceMs),
  begin() {
    const before = sampleCpu();
    return () => coresOfOthers(before, sampleCpu());
  },
};

/** For figures that do not depend on how busy the machine is. */
export const unwatched: Watch = { quiet: () => Promise.resolve(), begin: () => () => null };

const patienceMs = 20_000;
/** Tries of a round that others keep disturbing; the least disturbed one counts, and is marked. */
const maxTries = 3;

/** How the sides alternate. */
export interface AlternateOptions<Side extends string> {
  readonly rounds: number;
  /** Told of each measurement, those that are repeated included. */
  readonly onRound?: (side: Side, round: number, result: Round) => void;
  /** @default {@link machineWatch} */
  readonly watch?: Watch;
}

/**
 * Lets each side measure `rounds` times, one side at a time, each time once the machine is quiet. Every second round goes
 * through the sides in reverse (A B, B A, …), so that a steady drift of the machine favours neither. A round that others
 * disturbed is repeated.
 */
export async function alternate<Side extends string>(
  sides: Readonly<Record<Side, () => Promise<number>>>,
  { rounds, onRound, watch = machineWatch }: AlternateOptions<Side>,
): Promise<Rates<Side>> {
  const names = Object.keys(sides) as Side[];
  const results = Object.fromEntries(names.map((name) => [name, [] as Round[]])) as Record<Side, Round[]>;
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : [...names].reverse()) {
      let best: Round | null = null;
      for (let tries = 0; tries < maxTries && (best === null || isDisturbed(best)); tries++) {
        await watch.quiet();
        const end = watch.begin();
        const figure = await sides[name]();
        const result: Round = { figure, othersCores: end() };
        onRound?.(name, round, result);
        if (best === null || (result.othersCores ?? 0) < (best.othersCores ?? 0)) best = result;
      }
      if (best !== null) results[name].push(best);
    }
  }
  return results;
}

/** Whether others used enough of the machine to make the figure doubtful. */
export function isDisturbed({ othersCores }: Round): boolean {
  return othersCores !== null && othersCores > disturbingCores;
}

/** The middle value, or the mean of the two middle ones. NaN for no values. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
  return (lower + upper) / 2;
}

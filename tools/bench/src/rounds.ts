// Rounds that alternate between the sides, so that a machine that grows slower or busier does so for all of them.
import { KindredError } from '@kindred/errors';
import type { Contestant } from './contestant.js';

/** Items a second of each side, by round. */
export type Rates<Side extends string> = Readonly<Record<Side, readonly number[]>>;

/**
 * Lets each side do `rounds` rounds of `steps` steps, one side at a time. Every second round goes through the sides in
 * reverse (A B, B A, …), so that a steady drift of the machine favours neither.
 */
export async function alternate<Side extends string>(
  sides: Readonly<Record<Side, Contestant>>,
  {
    rounds,
    steps,
    onRound,
  }: {
    readonly rounds: number;
    readonly steps: number;
    readonly onRound?: (side: Side, round: number, rate: number) => void;
  },
): Promise<Rates<Side>> {
  const names = Object.keys(sides) as Side[];
  const rates = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Side, number[]>;
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : [...names].reverse()) {
      const { seconds, items } = await sides[name].round(steps);
      if (!(seconds > 0 && items > 0)) {
        throw new KindredError('INTERNAL', `${name} made ${items} items in ${seconds} s; allowed: more than 0 of both`);
      }
      rates[name].push(items / seconds);
      onRound?.(name, round, items / seconds);
    }
  }
  return rates;
}

/** The middle value, or the mean of the two middle ones. NaN for no values. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
  return (lower + upper) / 2;
}

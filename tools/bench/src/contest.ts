// One comparison from start to end: all sides started, rounds alternated, all sides ended, whatever happens.
import type { Contestant } from './contestant.js';
import { alternate, type Rates } from './rounds.js';

/** How the sides are started, and what they do. */
export interface ContestOptions<Side extends string> {
  /** Shown with each figure. */
  readonly label: string;
  readonly sides: Readonly<Record<Side, () => Promise<Contestant>>>;
  readonly rounds: number;
  /** Steps of a round. */
  readonly steps: number;
  readonly unit: string;
  readonly say: (line: string) => void;
}

/** Starts the sides one after the other, lets them alternate, and ends them. */
export async function contest<Side extends string>({
  label,
  sides,
  rounds,
  steps,
  unit,
  say,
}: ContestOptions<Side>): Promise<{
  readonly rates: Rates<Side>;
  readonly versions: Readonly<Record<string, string>>;
}> {
  const running: Partial<Record<Side, Contestant>> = {};
  try {
    const versions: Record<string, string> = {};
    for (const name of Object.keys(sides) as Side[]) {
      const side = await sides[name]();
      running[name] = side;
      Object.assign(versions, side.versions);
    }
    const rates = await alternate(running as Record<Side, Contestant>, {
      rounds,
      steps,
      onRound: (side, round, rate) =>
        say(`${label}: round ${round + 1} of ${rounds}, ${side} ${rate.toFixed(1)} ${unit}`),
    });
    return { rates, versions };
  } finally {
    await Promise.all(Object.values<Contestant | undefined>(running).map((side) => side?.close()));
  }
}

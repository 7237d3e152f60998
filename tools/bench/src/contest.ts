// One comparison from start to end: all sides started, rounds alternated, all sides ended, whatever happens.
import { rateOf, type Contestant } from './contestant.js';
import { alternate, isDisturbed, type Rates, type Round, type Watch } from './rounds.js';

/** What all comparisons have in common. */
interface Comparison<Measured> {
  /** Shown with each figure. */
  readonly label: string;
  readonly rounds: number;
  readonly unit: string;
  readonly sides: Measured;
  readonly say: (line: string) => void;
  /** @default the machine's */
  readonly watch?: Watch;
}

/** How the sides are started, and what they do. */
export interface ContestOptions<Side extends string> extends Comparison<
  Readonly<Record<Side, () => Promise<Contestant>>>
> {
  /** Steps of a round. */
  readonly steps: number;
}

/** What sides gave, and with which libraries. */
export interface ContestResult<Side extends string> {
  readonly rates: Rates<Side>;
  readonly versions: Readonly<Record<string, string>>;
}

/** Starts the sides one after the other, lets them alternate, and ends them. Figures are items a second. */
export async function contest<Side extends string>({
  sides,
  steps,
  ...comparison
}: ContestOptions<Side>): Promise<ContestResult<Side>> {
  const running: Contestant[] = [];
  try {
    const versions: Record<string, string> = {};
    const measures: Partial<Record<Side, () => Promise<number>>> = {};
    for (const name of Object.keys(sides) as Side[]) {
      const side = await sides[name]();
      running.push(side);
      Object.assign(versions, side.versions);
      measures[name] = async () => rateOf(await side.round(steps));
    }
    const rates = await measured({ ...comparison, sides: measures as Record<Side, () => Promise<number>> });
    return { rates, versions };
  } finally {
    await Promise.all(running.map((side) => side.close()));
  }
}

/** One way to get a figure from a process that was just started. */
export interface FreshSide {
  readonly start: () => Promise<Contestant>;
  readonly figure: (side: Contestant) => Promise<number>;
}

/** The same with a process of its own for each round, for what happens once in a process's life. */
export async function contestOfFresh<Side extends string>({
  sides,
  ...comparison
}: Comparison<Readonly<Record<Side, FreshSide>>>): Promise<ContestResult<Side>> {
  const versions: Record<string, string> = {};
  const measure =
    ({ start, figure }: FreshSide) =>
    async () => {
      const side = await start();
      try {
        Object.assign(versions, side.versions);
        return await figure(side);
      } finally {
        await side.close();
      }
    };
  const measures = Object.fromEntries(Object.entries<FreshSide>(sides).map(([name, side]) => [name, measure(side)]));
  return { rates: await measured({ ...comparison, sides: measures as Record<Side, () => Promise<number>> }), versions };
}

function measured<Side extends string>({
  label,
  sides,
  rounds,
  unit,
  say,
  watch,
}: Comparison<Readonly<Record<Side, () => Promise<number>>>>): Promise<Rates<Side>> {
  const onRound = (side: Side, round: number, result: Round): void => {
    const others = isDisturbed(result) ? `, disturbed: others used ${result.othersCores?.toFixed(2)} cores` : '';
    say(`${label}: round ${round + 1} of ${rounds}, ${side} ${result.figure.toFixed(1)} ${unit}${others}`);
  };
  return alternate(sides, { rounds, onRound, watch });
}

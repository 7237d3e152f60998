// What a run of the benchmark says at its end: one table for people, one JSON document for programs.
import { bars, barText, reaches, type Bar } from './bars.js';
import type { Machine } from './machine.js';
import { isDisturbed, median, type Rates } from './rounds.js';

/** One comparison. */
export interface Row {
  readonly id: string;
  readonly suite: string;
  /** Median of our rounds, in `unit`. */
  readonly ours: number;
  /** Median of the peer's rounds, in `unit`; null: there is no peer. */
  readonly peer: number | null;
  /** For example `images/s`. More is better, except where the bar says `atMost`. */
  readonly unit: string;
  /** `ours / peer`; null without a peer. */
  readonly ratio: number | null;
  /** What the row must reach; null: nothing. */
  readonly bar: Bar | null;
  /** Whether it does. */
  readonly met: boolean | null;
  /** Rounds that processes of others disturbed, also when repeated. */
  readonly disturbed: number;
  /** Each round's figures, in the order in which they were measured. */
  readonly rounds: readonly { readonly ours: number; readonly peer: number | null; readonly disturbed: boolean }[];
  /** What the peer is, for people. */
  readonly against: string;
}

/** What `--json` writes. */
export interface Report {
  /** The suites as they were asked for, joined by commas. */
  readonly suite: string;
  readonly machine: Machine;
  readonly rows: readonly Row[];
}

/** Makes the row of one pair of sides, or of ours alone where `peer` is null. */
export function compare<Side extends string>(
  { id, suite, unit, against }: Pick<Row, 'id' | 'suite' | 'unit' | 'against'>,
  rates: Rates<Side>,
  ours: Side,
  peer: Side | null,
): Row {
  const figures = (side: Side): number[] => rates[side].map(({ figure }) => figure);
  const own = median(figures(ours));
  const theirs = peer === null ? null : median(figures(peer));
  const ratio = theirs === null ? null : own / theirs;
  const rounds = rates[ours].map((round, i) => {
    const other = peer === null ? undefined : rates[peer][i];
    const disturbed = isDisturbed(round) || (other !== undefined && isDisturbed(other));
    return { ours: round.figure, peer: other?.figure ?? null, disturbed };
  });
  const bar = bars[id] ?? null;
  return {
    ...{ id, suite, ours: own, peer: theirs, unit, ratio, bar, met: reaches(bar, { ours: own, ratio }) },
    ...{ disturbed: rounds.filter(({ disturbed }) => disturbed).length, rounds, against },
  };
}

/** The table, one line a row, columns aligned, and a line below it where others disturbed rounds. */
export function table(rows: readonly Row[]): string {
  const lines = [
    ['id', 'ours', 'peer', 'unit', 'ratio', 'bar', 'met', 'rounds', 'disturbed', 'peer is'],
    ...rows.map(({ id, ours, peer, unit, ratio, bar, met, rounds, disturbed, against }) => [
      ...[id, figure(ours), peer === null ? '-' : figure(peer), unit, ratio?.toFixed(2) ?? '-'],
      ...[bar === null ? '-' : barText(bar), met === null ? '-' : met ? 'yes' : 'NO'],
      ...[String(rounds.length), String(disturbed), against],
    ]),
  ];
  const numeric = new Set([1, 2, 4, 7, 8]);
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  const aligned = lines.map((line) =>
    line
      .map((cell, column) =>
        numeric.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
  if (rows.some(({ bar }) => bar?.must === 'atMost')) aligned.push('', 'A bar with ≤: less is better.');
  if (rows.some(({ disturbed }) => disturbed > 0)) {
    aligned.push(
      '',
      'Other processes were at work in the disturbed rounds: their figures are doubtful, measure again.',
    );
  }
  return aligned.join('\n');
}

/** The machine in one line. */
export function machineLine({ cpu, cores, memoryGiB, gpus, versions }: Machine): string {
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${[cpu, `${cores} cores`, `${memoryGiB} GiB`, ...gpus].join(', ')}; ${named.join(', ')}`;
}

function figure(value: number): string {
  return value >= 1000 ? Math.round(value).toString() : value.toPrecision(4);
}

// What a run of the benchmark says at its end: one table for people, one JSON document for programs.
import type { Machine } from './machine.js';
import { median, type Rates } from './rounds.js';

/** One comparison. */
export interface Row {
  readonly id: string;
  readonly suite: string;
  /** Median of our rounds, in `unit`. */
  readonly ours: number;
  /** Median of the peer's rounds, in `unit`. */
  readonly peer: number;
  /** For example `images/s`; more is better in all of them. */
  readonly unit: string;
  /** `ours / peer`; above 1: we are faster. */
  readonly ratio: number;
  /** Each round's figures, in the order in which they were measured. */
  readonly rounds: readonly { readonly ours: number; readonly peer: number }[];
  /** What the peer is, for people. */
  readonly against: string;
}

/** What `--json` writes. */
export interface Report {
  /** The suite's name; several are joined by a comma. */
  readonly suite: string;
  readonly machine: Machine;
  readonly rows: readonly Row[];
}

/** Makes the row of one pair of sides. */
export function compare<Side extends string>(
  { id, suite, unit, against }: Pick<Row, 'id' | 'suite' | 'unit' | 'against'>,
  rates: Rates<Side>,
  ours: Side,
  peer: Side,
): Row {
  const medians = { ours: median(rates[ours]), peer: median(rates[peer]) };
  const rounds = rates[ours].map((rate, round) => ({ ours: rate, peer: rates[peer][round] ?? Number.NaN }));
  return { id, suite, ...medians, unit, ratio: medians.ours / medians.peer, rounds, against };
}

/** The table, one line a row, columns aligned. */
export function table(rows: readonly Row[]): string {
  const lines = [
    ['id', 'ours', 'peer', 'unit', 'ratio', 'rounds', 'peer is'],
    ...rows.map(({ id, ours, peer, unit, ratio, rounds, against }) => [
      id, figure(ours), figure(peer), unit, ratio.toFixed(2), String(rounds.length), against,
    ]), // prettier-ignore
  ];
  const numeric = new Set([1, 2, 4, 5]);
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          numeric.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The machine in one line. */
export function machineLine({ cpu, cores, memoryGiB, versions }: Machine): string {
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB; ${named.join(', ')}`;
}

function figure(value: number): string {
  return value >= 1000 ? Math.round(value).toString() : value.toPrecision(4);
}

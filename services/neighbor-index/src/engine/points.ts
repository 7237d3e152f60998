// Points as engines take and give them.
import type { AnswerBudget } from '../answer-budget.js';

/** An id: a number, 0 to 2^64 - 1, or a text of 1 to 256 bytes of UTF-8. A number is never equal to a text. */
export type PointId = bigint | string;

/** Points in columns. All ids are numbers or all are texts. Of sound content: engines do not check it again. */
export interface Points {
  /** [n], distinct. */
  readonly ids: BigUint64Array | readonly string[];
  /** [n, dimension], finite; of length 1 where the metric is cosine. */
  readonly vectors: Float32Array;
  /** [n]; -1: unlabelled. */
  readonly labels: Int32Array;
  /** [n] JSON objects, '' where there is none; or [0]: none at all. */
  readonly payloads: readonly string[];
}

/** A point that is read. */
export interface PointRecord {
  readonly id: PointId;
  readonly label: number;
  /** Null unless asked for. */
  readonly vector: Float32Array | null;
  /** A JSON object; '' for none, or where it was not asked for. */
  readonly payload: string;
}

/** What is read beside ids and labels. */
export interface Included {
  readonly vectors: boolean;
  readonly payloads: boolean;
  /** Told of each point before it is read; a page of Scroll ends before what does not fit. @default no bound */
  readonly budget?: AnswerBudget;
}

/** The order of Scroll and of neighbour files: numbers ascending, then texts by their UTF-8 bytes. */
export function compareIds(a: PointId, b: PointId): number {
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (typeof a === 'bigint' && typeof b === 'bigint') return a < b ? -1 : a > b ? 1 : 0;
  return typeof a === 'bigint' ? -1 : 1;
}

// When a part gets an index of faiss, and with which parameters.
import type { IndexPlan } from '@kindred/faiss-native';
import type { IndexSpec } from '../engine/spec.js';

/** Rows below which comparing all of them is as fast as a graph. */
const minGraphRows = 2_000;
/** Training rows for each centre (faiss warns below that). */
const rowsPerCentre = 39;
/** Centres of each byte of product quantisation. */
const centresPerByte = 256;

/** How `rows` rows of a collection are indexed; null: they are too few, or the kind is flat. */
export function indexPlan(spec: IndexSpec, rows: number): IndexPlan | null {
  switch (spec.kind) {
    case 'flat':
      return null;
    case 'hnsw':
      return rows < minGraphRows ? null : { kind: 'hnsw', links: spec.m, efConstruction: spec.efConstruction };
    case 'sq8':
      return rows < minGraphRows ? null : { kind: 'sq8' };
    case 'ivf-flat':
      return rows < minGraphRows ? null : { kind: 'ivf-flat', lists: listsOf(spec.lists, rows) };
    case 'ivf-pq':
      return rows < rowsPerCentre * centresPerByte
        ? null
        : { kind: 'ivf-pq', lists: listsOf(spec.lists, rows), subvectors: spec.subvectors };
  }
}

/** Bytes of memory of an index over `rows` rows, about, without the rows. */
export function indexBytes(plan: IndexPlan, rows: number, dimension: number): number {
  switch (plan.kind) {
    case 'hnsw':
      // Links of the lowest level, twice as many, and of the levels above: four bytes each.
      return rows * (8 * plan.links + 4 * plan.links + 24);
    case 'ivf-flat':
      return rows * (4 * dimension + 8) + plan.lists * dimension * 4;
    case 'ivf-pq':
      return rows * (plan.subvectors + 8) + (plan.lists + centresPerByte) * dimension * 4;
    case 'sq8':
      return rows * dimension;
  }
}

/** Candidates that are compared again, as a multiple of k. */
export function refineOf(spec: IndexSpec): number {
  return spec.kind === 'ivf-pq' || spec.kind === 'sq8' ? spec.refine : 1;
}

function listsOf(wanted: number, rows: number): number {
  const lists = wanted === 0 ? Math.round(4 * Math.sqrt(rows)) : wanted;
  return Math.max(1, Math.min(lists, Math.floor(rows / rowsPerCentre)));
}

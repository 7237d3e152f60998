// Our side of `flat-batch`: the search that neighbor-index makes of a flat collection, on vectors from files.
import { readFileSync } from 'node:fs';
import { searchRows } from '@kindred/faiss-native';
import { serveRounds } from './own-process.js';

/** What the child is told at its start. */
export interface FlatSearchOptions {
  /** File of little-endian float32, [n, dimension]. */
  readonly vectors: string;
  /** The same, [batches * batch, dimension]. */
  readonly queries: string;
  readonly dimension: number;
  readonly k: number;
  /** Queries a call. */
  readonly batch: number;
}

serveRounds<FlatSearchOptions>(async ({ vectors: file, queries: queryFile, dimension, k, batch }) => {
  const read = (path: string): Float32Array => {
    const bytes = readFileSync(path);
    return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  };
  const vectors = read(file);
  const queries = read(queryFile);
  const segments = [{ vectors, rows: vectors.length / dimension, dimension, allowed: null, index: null }];
  const search = async (step: number): Promise<void> => {
    const start = (step * batch * dimension) % queries.length;
    const part = queries.subarray(start, start + batch * dimension);
    await searchRows({ segments, queries: part, dimension, k, l2: false, efSearch: 1, probes: 0, refine: 1 });
  };
  const round = async (steps: number): Promise<number> => {
    for (let step = 0; step < steps; step++) await search(step);
    return steps * batch;
  };
  await round(3);
  return { versions: {}, round };
});

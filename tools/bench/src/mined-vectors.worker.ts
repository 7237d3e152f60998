// Our side of the suite `mining`: the call of neighbor-index's MineNeighbors, on vectors from a file.
import { readFileSync } from 'node:fs';
import { createFaissEngine } from '@kindred/faiss-native';
import { serveRounds } from './own-process.js';

/** What the child is told at its start. */
export interface MinedVectorsOptions {
  /** File of little-endian float32, [n, dimension]. */
  readonly vectors: string;
  readonly dimension: number;
  /** Neighbours a vector, itself included. */
  readonly k: number;
}

const warmUpVectors = 2000;

serveRounds<MinedVectorsOptions>(async ({ vectors: file, dimension, k }) => {
  const bytes = readFileSync(file);
  const vectors = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const engine = createFaissEngine();
  await engine.mine({ vectors: vectors.subarray(0, warmUpVectors * dimension), dimension, k });
  const round = async (steps: number): Promise<number> => {
    for (let step = 0; step < steps; step++) await engine.mine({ vectors, dimension, k });
    return (steps * vectors.length) / dimension;
  };
  return { versions: {}, round };
});

// Mining: the nearest vectors of each vector in its own set, exactly, with half the products of a search for all of them.
import { KindredError } from '@kindred/errors';
import type { WorkerPool } from '@kindred/workers';
import { bytesPerTransfer, productsPerCall } from './call-sizes.js';
import type * as FaissWorker from './faiss.worker.js';
import type { FaissNeighbours, SearchOptions } from './neighbours.js';

/** What is mined. */
export interface MiningRequest {
  /** [n, dimension], row-major. */
  readonly vectors: Float32Array;
  /** Numbers a vector. */
  readonly dimension: number;
  /** Neighbours a vector, itself among them where it is near enough: 1 to n. */
  readonly k: number;
}

/** Mines in the thread of `pool`; see `FaissEngine.mine`. */
export async function mineIn(
  pool: WorkerPool<typeof FaissWorker>,
  { vectors, dimension, k }: MiningRequest,
  { signal, onProgress }: SearchOptions,
): Promise<FaissNeighbours> {
  const rows = vectors.length / dimension;
  if (!Number.isInteger(dimension) || dimension < 1 || !Number.isInteger(rows)) {
    throw refused(`${vectors.length} numbers of dimension ${dimension}`, 'a multiple of a dimension of 1 or more');
  }
  if (!Number.isInteger(k) || k < 1 || k > rows) throw refused(`k ${k}`, `1 to ${rows}, the number of vectors`);

  const goOn = (): void => {
    if (signal?.aborted === true) throw new KindredError('CANCELLED', 'cancelled by the caller');
  };
  goOn();
  const { handle, rounds } = await pool.run('beginMining', { rows, dimension, k });
  try {
    const step = Math.max(1, Math.floor(bytesPerTransfer / (4 * dimension))) * dimension;
    for (let start = 0; start < vectors.length; start += step) {
      goOn();
      const part = vectors.slice(start, start + step);
      await pool.run('addToMining', { handle, vectors: part }, { transfer: [part.buffer] });
    }
    const productsPerRound = (rows * rows * dimension) / 2 / rounds;
    const roundsPerCall = Math.min(rounds, Math.max(1, Math.floor(productsPerCall / productsPerRound)));
    for (let done = 0; done < rounds; done += roundsPerCall) {
      goOn();
      await pool.run('advanceMining', { handle, rounds: roundsPerCall });
      onProgress?.(Math.floor((rows * Math.min(done + roundsPerCall, rounds)) / rounds));
    }
    return { k, ...(await pool.run('miningResult', handle)) };
  } finally {
    await pool.run('endMining', handle);
  }
}

function refused(got: string, allowed: string): KindredError {
  return new KindredError('INVALID_ARGUMENT', `mining: got ${got}; allowed: ${allowed}`);
}

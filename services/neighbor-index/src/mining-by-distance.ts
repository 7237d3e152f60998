// Mining by squared distance: a search for all rows among themselves, block by block.
import { KindredError } from '@kindred/errors';
import { searchRows, type FaissNeighbours, type MiningRequest, type SearchOptions } from '@kindred/faiss-native';

/** Multiplications of a block, so that progress is told every second or so. */
const productsPerBlock = 4e10;

/** The `k` nearest rows of each row, [n, k], nearest first; of equal distances the lower row. */
export async function mineByDistance(
  { vectors, dimension, k }: MiningRequest,
  { signal, onProgress }: SearchOptions,
): Promise<FaissNeighbours> {
  const rows = vectors.length / dimension;
  const scores = new Float32Array(rows * k);
  const positions = new Int32Array(rows * k);
  const block = Math.max(128, Math.floor(productsPerBlock / (rows * dimension)));
  const segments = [{ vectors, rows, dimension, allowed: null, index: null }];
  for (let start = 0; start < rows; start += block) {
    if (signal?.aborted === true) throw new KindredError('CANCELLED', 'cancelled by the caller');
    const end = Math.min(rows, start + block);
    const queries = vectors.subarray(start * dimension, end * dimension);
    const found = await searchRows({
      segments,
      queries,
      dimension,
      k,
      l2: true,
      efSearch: 1,
      probes: 0,
      refine: 1,
      signal,
    });
    scores.set(found.scores, start * k);
    positions.set(found.positions, start * k);
    onProgress?.(end);
  }
  return { k, scores, positions };
}

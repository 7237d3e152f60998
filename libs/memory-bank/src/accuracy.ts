// How often labels agree, in percent.
import { KindredError } from '@kindred/errors';

/**
 * Percent of `predictions` that equal the label at the same place, 0 to 100.
 * INVALID_ARGUMENT when the lengths differ or there are none.
 */
export function top1Accuracy(predictions: ArrayLike<number>, labels: ArrayLike<number>): number {
  if (predictions.length === 0 || predictions.length !== labels.length) {
    throw new KindredError(
      'INVALID_ARGUMENT',
      `top-1 accuracy: got ${predictions.length} predictions for ${labels.length} labels; allowed: as many of both, 1 at least`,
    );
  }
  let correct = 0;
  for (let i = 0; i < labels.length; i++) if (predictions[i] === labels[i]) correct++;
  return (100 * correct) / labels.length;
}

/**
 * Percent of neighbours that share the label of the row that they belong to, 0 to 100. `indices` is [n, k + 1] with the
 * row itself in the first column, which is not counted (SCAN, section 2.1: the accuracy of the mined neighbours);
 * `labels` is [n]. INVALID_ARGUMENT when the shapes do not fit or an index is outside 0 to n - 1.
 */
export function neighbourAccuracy(indices: BigInt64Array | Int32Array, labels: ArrayLike<number>): number {
  const rows = labels.length;
  const columns = rows === 0 ? 0 : indices.length / rows;
  if (!Number.isInteger(columns) || columns < 2) {
    throw new KindredError(
      'INVALID_ARGUMENT',
      `neighbour accuracy: got ${indices.length} indices for ${rows} labels; allowed: k + 1 for each label, k at least 1`,
    );
  }
  let correct = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 1; column < columns; column++) {
      const neighbour = Number(indices[row * columns + column]);
      if (!(neighbour >= 0 && neighbour < rows)) {
        throw new KindredError(
          'INVALID_ARGUMENT',
          `neighbour accuracy: got index ${neighbour} in row ${row}; allowed: 0 to ${rows - 1}`,
        );
      }
      if (labels[neighbour] === labels[row]) correct++;
    }
  }
  return (100 * correct) / (rows * (columns - 1));
}

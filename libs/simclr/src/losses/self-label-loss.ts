// SCAN's self-labelling loss (Van Gansbeke et al. 2020, §2.3): confident predictions teach the augmented images.
import * as tf from '@tensorflow/tfjs-core';
import { KindredError, invalidField } from '@kindred/errors';

/** Options of the self-labelling loss. */
export interface SelfLabelOptions {
  /** Lowest probability, exclusive, that makes a prediction a label. SCAN's is 0.99 (CIFAR-10). */
  readonly threshold: number;
  /** Whether each class weighs the inverse of its share of the labels. @default true */
  readonly classBalancing?: boolean;
}

/**
 * Cross entropy of `strong` logits against the labels that the `weak` logits predict with a probability above the
 * threshold; other rows don't count. Nothing in the product trains by it yet: it is here for the step after clustering.
 * The mean is weighted by class, as PyTorch's `cross_entropy` with weights.
 *
 * @param weak logits `[b, classes]` of the plain images; read at once, no gradient flows to them.
 * @param strong logits `[b, classes]` of the strongly augmented ones.
 * @throws KindredError FAILED_PRECONDITION when no prediction is confident.
 */
export function selfLabelLoss(weak: tf.Tensor2D, strong: tf.Tensor2D, options: SelfLabelOptions): tf.Scalar {
  const { threshold, classBalancing = true } = options;
  if (!(threshold >= 0 && threshold < 1))
    throw invalidField('threshold', `got ${threshold}; allowed: from 0 to below 1`);
  const [rows, classes] = weak.shape;
  const weights = tf.tidy(() =>
    labelWeights(tf.softmax(weak).dataSync() as Float32Array, rows, classes, threshold, classBalancing),
  );
  return tf.tidy(() => {
    const target = tf.tensor2d(weights, [rows, classes]);
    return tf.neg(tf.sum(tf.mul(target, tf.logSoftmax(strong)))) as tf.Scalar;
  });
}

/** A matrix with each confident row's weight at its label, scaled to sum 1. */
function labelWeights(
  probabilities: Float32Array,
  rows: number,
  classes: number,
  threshold: number,
  classBalancing: boolean,
): Float32Array {
  const labels: { row: number; label: number }[] = [];
  const counts = new Array<number>(classes).fill(0);
  for (let row = 0; row < rows; row++) {
    const values = probabilities.subarray(row * classes, (row + 1) * classes);
    const best = values.reduce((highest, value) => Math.max(highest, value), 0);
    if (!(best > threshold)) continue;
    const label = values.indexOf(best);
    labels.push({ row, label });
    counts[label] = (counts[label] ?? 0) + 1;
  }
  if (labels.length === 0) {
    throw new KindredError(
      'FAILED_PRECONDITION',
      `no prediction of this batch is above the threshold ${threshold}; lower it, use larger batches or train longer`,
    );
  }
  const weightOf = (label: number): number => (classBalancing ? labels.length / (counts[label] ?? 1) : 1);
  const sum = labels.reduce((total, { label }) => total + weightOf(label), 0);
  const result = new Float32Array(rows * classes);
  for (const { row, label } of labels) result[row * classes + label] = weightOf(label) / sum;
  return result;
}

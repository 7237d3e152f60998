// The SimCLR loss with its gradient at the features: what a batch needs that is larger than memory (GradCache).
import * as tf from '@tensorflow/tfjs-core';
import { simclrLoss } from './simclr-loss.js';

/** The loss of a whole batch and how it changes with the features. */
export interface LossGradient {
  /** Scalar. */
  readonly loss: tf.Scalar;
  /** ∂loss/∂features, `[b, 2, d]`. */
  readonly gradient: tf.Tensor3D;
}

/**
 * {@link simclrLoss} and its gradient at `features` `[b, 2, d]`, the features of all micro-batches of a step.
 *
 * The loss contrasts each image with all of its batch, so the mean of micro-batch losses is another, easier loss. Two
 * passes give the large batch's own gradient (Gao et al. 2021, arXiv:2101.06983, §3.2): embed every micro-batch and keep only its
 * features; take this gradient over all of them; then run each micro-batch again, backward from its rows of the gradient
 * (`tf.grads(forward)(parameters, rows)`), and add up. Exact in real numbers as long as an image's features depend on its
 * micro-batch alone and both passes give the same: BatchNorm's statistics then are the micro-batch's, not the large
 * batch's, and its running statistics must move in one of the passes only.
 */
export function simclrLossGradient(features: tf.Tensor3D, temperature: number): LossGradient {
  const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => simclrLoss(x as tf.Tensor3D, temperature))(features);
  return { loss: value as tf.Scalar, gradient: grad as tf.Tensor3D };
}

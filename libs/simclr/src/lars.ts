// Layer-wise adaptive rate scaling (You et al. 2017, arXiv:1708.03888): SimCLR's optimizer for large batches.
import * as tf from '@tensorflow/tfjs-core';
import { invalidField } from '@kindred/errors';
import { resolveSgdOptions, sgdUpdate } from './sgd.js';
import type { ResolvedSgdOptions, SgdOptions } from './sgd.js';
import type { ParameterKind } from './specification.js';

/** Options of LARS: those of SGD, with its momentum 0.9 by default (SimCLR §B.1), and the trust coefficient. */
export interface LarsOptions extends SgdOptions {
  /** η: how far a layer may move relative to its own norm. @default 0.001, You et al. §5 and SimCLR's code */
  readonly trustCoefficient?: number;
}

/** {@link LarsOptions} with nothing left out. */
export interface ResolvedLarsOptions extends ResolvedSgdOptions {
  readonly trustCoefficient: number;
}

/** Completes and checks the optimizer's options. @throws KindredError INVALID_ARGUMENT naming the field. */
export function resolveLarsOptions({ trustCoefficient = 0.001, ...sgd }: LarsOptions): ResolvedLarsOptions {
  if (!(trustCoefficient > 0 && Number.isFinite(trustCoefficient))) {
    throw invalidField('optimizer.trustCoefficient', `got ${trustCoefficient}; allowed: above 0`);
  }
  return { ...resolveSgdOptions({ ...sgd, momentum: sgd.momentum ?? 0.9 }), trustCoefficient };
}

/** Whether LARS decays and scales tensors of this kind; biases and BatchNorm's are left to plain SGD (SimCLR §B.1). */
export function larsAdapts(kind: ParameterKind): boolean {
  return kind === 'convolution-weight' || kind === 'linear-weight';
}

/**
 * What the momentum buffer takes in instead of the gradient g of an adapted tensor w:
 * (g + weightDecay·w) · η‖w‖ / (‖g‖ + weightDecay·‖w‖) (You et al., eq. 6); unscaled where ‖w‖ or ‖g‖ is 0. Made of
 * operations only, so that it can be recorded in a graph.
 */
export function larsGradient(
  parameter: tf.Tensor,
  gradient: tf.Tensor,
  { weightDecay, trustCoefficient }: Pick<ResolvedLarsOptions, 'weightDecay' | 'trustCoefficient'>,
): tf.Tensor {
  return tf.tidy(() => {
    const [weightNorm, gradientNorm] = [euclideanNorm(parameter), euclideanNorm(gradient)];
    const bothMove = tf.logicalAnd(tf.greater(weightNorm, tf.scalar(0)), tf.greater(gradientNorm, tf.scalar(0)));
    const decayNorm = tf.mul(weightNorm, tf.scalar(weightDecay));
    const trust = tf.div(tf.mul(weightNorm, tf.scalar(trustCoefficient)), tf.add(gradientNorm, decayNorm));
    const decayed = weightDecay === 0 ? gradient : tf.add(gradient, tf.mul(parameter, tf.scalar(weightDecay)));
    return tf.mul(decayed, tf.where(bothMove, trust, tf.onesLike(trust)));
  });
}

/**
 * One update of one tensor: SGD's momentum rule (`sgdUpdate`) on {@link larsGradient}, or on the plain gradient without
 * weight decay where the kind is not adapted ({@link larsAdapts}). The rate stands outside the buffer as in PyTorch; You et al.
 * have it inside, which differs only while the rate changes.
 */
export function larsUpdate(
  parameter: tf.Tensor,
  buffer: tf.Tensor,
  gradient: tf.Tensor,
  rate: tf.Scalar,
  options: ResolvedLarsOptions,
  kind: ParameterKind,
): { parameter: tf.Tensor; buffer: tf.Tensor } {
  const scaled = larsAdapts(kind) ? larsGradient(parameter, gradient, options) : gradient;
  return sgdUpdate(parameter, buffer, scaled, rate, { ...options, weightDecay: 0 });
}

function euclideanNorm(x: tf.Tensor): tf.Tensor {
  return tf.sqrt(tf.sum(tf.square(x)));
}

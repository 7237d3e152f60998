// Stochastic gradient descent with PyTorch's semantics.
import * as tf from '@tensorflow/tfjs-core';
import { invalidField } from '@kindred/errors';

/** Options of the optimizer, with the meaning they have in `torch.optim.SGD` (dampening is 0). */
export interface SgdOptions {
  /** @default 0 */
  readonly momentum?: number;
  /** Added to the gradient as weightDecay·parameter, BatchNorm and biases included, as the reference does. @default 0 */
  readonly weightDecay?: number;
  /** @default false */
  readonly nesterov?: boolean;
}

/** {@link SgdOptions} with nothing left out. */
export type ResolvedSgdOptions = Required<SgdOptions>;

/** Completes and checks the optimizer's options. */
export function resolveSgdOptions({ momentum = 0, weightDecay = 0, nesterov = false }: SgdOptions): ResolvedSgdOptions {
  if (!(momentum >= 0 && momentum < 1))
    throw invalidField('optimizer.momentum', `got ${momentum}; allowed: from 0 to below 1`);
  if (!(weightDecay >= 0 && Number.isFinite(weightDecay))) {
    throw invalidField('optimizer.weightDecay', `got ${weightDecay}; allowed: 0 or more`);
  }
  if (nesterov && momentum === 0)
    throw invalidField('optimizer.nesterov', 'got true without momentum; allowed: momentum above 0');
  return { momentum, weightDecay, nesterov };
}

/**
 * One update of one tensor: g ← gradient + weightDecay·p; buffer ← momentum·buffer + g; p ← p − rate·buffer (with
 * nesterov: p − rate·(g + momentum·buffer)). A buffer of zeros before the first step makes PyTorch's "first buffer is the
 * gradient".
 */
export function sgdUpdate(
  parameter: tf.Tensor,
  buffer: tf.Tensor,
  gradient: tf.Tensor,
  rate: tf.Scalar,
  { momentum, weightDecay, nesterov }: ResolvedSgdOptions,
): { parameter: tf.Tensor; buffer: tf.Tensor } {
  const decayed = weightDecay === 0 ? gradient : tf.add(gradient, tf.mul(parameter, tf.scalar(weightDecay)));
  const nextBuffer = momentum === 0 ? decayed : tf.add(tf.mul(buffer, tf.scalar(momentum)), decayed);
  const direction = nesterov ? tf.add(decayed, tf.mul(nextBuffer, tf.scalar(momentum))) : nextBuffer;
  return { parameter: tf.sub(parameter, tf.mul(direction, rate)), buffer: nextBuffer };
}

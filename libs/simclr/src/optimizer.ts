// The optimizers of a run as one choice: both are a rule for the gradient, followed by the same momentum step.
import * as tf from '@tensorflow/tfjs-core';
import { larsAdapts, larsGradient, resolveLarsOptions } from './lars.js';
import { resolveSgdOptions } from './sgd.js';
import type { LarsOptions, ResolvedLarsOptions } from './lars.js';
import type { ResolvedSgdOptions, SgdOptions } from './sgd.js';
import type { ParameterKind } from './specification.js';

/** SGD (where no kind is given) or LARS, with its options. */
export type OptimizerOptions = ({ readonly kind?: 'sgd' } & SgdOptions) | ({ readonly kind: 'lars' } & LarsOptions);

/** {@link OptimizerOptions} with nothing left out. */
export type ResolvedOptimizer =
  ({ readonly kind: 'sgd' } & ResolvedSgdOptions) | ({ readonly kind: 'lars' } & ResolvedLarsOptions);

/** Completes and checks the choice. @throws KindredError INVALID_ARGUMENT naming the field. */
export function resolveOptimizer(options: OptimizerOptions): ResolvedOptimizer {
  return options.kind === 'lars'
    ? { kind: 'lars', ...resolveLarsOptions(options) }
    : { kind: 'sgd', ...resolveSgdOptions(options) };
}

/**
 * The gradient that the momentum step takes in: buffer ← momentum·buffer + result; p ← p − rate·buffer (with nesterov:
 * p − rate·(result + momentum·buffer)), which is TensorFlow's `ResourceApplyMomentum`. Weight decay is in it, and LARS's scale.
 *
 * @param kind the part that the parameter plays; LARS leaves biases and BatchNorm's alone.
 */
export function momentumGradient(
  parameter: tf.Tensor,
  gradient: tf.Tensor,
  kind: ParameterKind,
  optimizer: ResolvedOptimizer,
): tf.Tensor {
  if (optimizer.kind === 'lars') return larsAdapts(kind) ? larsGradient(parameter, gradient, optimizer) : gradient;
  const { weightDecay } = optimizer;
  if (weightDecay === 0) return gradient;
  return tf.tidy(() => tf.add(gradient, tf.mul(parameter, tf.scalar(weightDecay))));
}

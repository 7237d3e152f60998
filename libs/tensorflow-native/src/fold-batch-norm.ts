// Folds each BatchNorm of a trained network into the convolution before it: in eval mode both are linear.
import { batchNormEpsilon, modelSpecification } from '@kindred/simclr';
import type { Architecture, ParameterKind, StateDict } from '@kindred/simclr';

/**
 * The parameters of the same network whose BatchNorms only add: convolutions are multiplied by weight/√(running_var + ε), and what is
 * left of a BatchNorm is its bias, less running_mean times the same factor (Jacob et al. 2018, §3.2). Computed in float64, in
 * PyTorch's layout. The other tensors of a BatchNorm become those that change nothing (weight 1, mean 0, variance 1 − ε), so that
 * the result still is a network of this architecture.
 */
export function foldBatchNorm(architecture: Architecture, parameters: StateDict): StateDict {
  const folded: Record<string, Float32Array> = {};
  for (const { name, shape, kind } of modelSpecification(architecture)) {
    const values = parameters[name] as Float32Array;
    if (kind === 'convolution-weight') {
      folded[name] = scaleOutputs(values, shape[0] ?? 1, factorsOf(parameters, normOf(name)));
    } else if (kind === 'norm-bias') {
      const norm = name.slice(0, -'.bias'.length);
      const factors = factorsOf(parameters, norm);
      const means = parameters[`${norm}.running_mean`] as Float32Array;
      folded[name] = values.map((bias, channel) => bias - (means[channel] ?? 0) * (factors[channel] ?? 0));
    } else {
      const neutral = neutralValue(kind);
      folded[name] = neutral === null ? values : new Float32Array(values.length).fill(neutral);
    }
  }
  return folded;
}

/** The value with which a BatchNorm's tensor changes nothing; null for tensors of other layers. */
function neutralValue(kind: ParameterKind): number | null {
  if (kind === 'norm-weight') return 1;
  if (kind === 'running-mean') return 0;
  return kind === 'running-variance' ? 1 - batchNormEpsilon : null;
}

/** The BatchNorm after a convolution: `bn1` after `conv1`, and in a shortcut `1` after `0`. */
function normOf(convolution: string): string {
  const layer = convolution.slice(0, -'.weight'.length);
  return layer.endsWith('.shortcut.0') ? layer.replace(/0$/, '1') : layer.replace(/conv(\d)$/, 'bn$1');
}

function factorsOf(parameters: StateDict, norm: string): Float64Array {
  const variances = parameters[`${norm}.running_var`] as Float32Array;
  return Float64Array.from(parameters[`${norm}.weight`] as Float32Array, (scale, channel) => {
    return scale / Math.sqrt((variances[channel] ?? 0) + batchNormEpsilon);
  });
}

/** `weights: [out, …]`, each output's multiplied by its factor. */
function scaleOutputs(weights: Float32Array, outputs: number, factors: Float64Array): Float32Array {
  const each = weights.length / outputs;
  return weights.map((weight, i) => weight * (factors[Math.floor(i / each)] ?? 0));
}

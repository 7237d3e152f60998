// First values of a network, drawn as PyTorch draws them, from a seed of our own.
import { createNormalSource, createUniformSource } from './random.js';
import { modelSpecification, parameterSize } from './specification.js';
import type { Architecture } from './architecture.js';
import type { ParameterSpecification, StateDict } from './specification.js';

/**
 * Draws the first values of every tensor. Convolutions: normal with variance 2/(out·k²) (He et al. 2015, fan-out, as the
 * reference asks for); BatchNorm: weight 1, bias 0, mean 0, variance 1; linear layers: uniform in ±1/√in, PyTorch's default.
 * Each tensor has its own random stream, keyed by (seed, position), so the values depend on nothing else.
 *
 * @param seed any whole number from 0 to 2^53 - 1.
 */
export function initialParameters(architecture: Architecture, seed: number): StateDict {
  const specification = modelSpecification(architecture);
  const result: Record<string, Float32Array> = {};
  specification.forEach((tensor, index) => {
    result[tensor.name] = draw(tensor, specification[index - 1], seed, index);
  });
  return result;
}

/** All-zero momentum buffers for the trainable tensors: PyTorch's state before the first step, when dampening is 0. */
export function initialMomentum(architecture: Architecture): StateDict {
  return Object.fromEntries(
    modelSpecification(architecture)
      .filter(({ trainable }) => trainable)
      .map(({ name, shape }) => [name, new Float32Array(parameterSize(shape))]),
  );
}

function draw(
  { shape, kind }: ParameterSpecification,
  previous: ParameterSpecification | undefined,
  seed: number,
  stream: number,
): Float32Array {
  const values = new Float32Array(parameterSize(shape));
  switch (kind) {
    case 'convolution-weight': {
      const [output = 1, , height = 1, width = 1] = shape;
      const deviation = Math.sqrt(2 / (output * height * width));
      const normal = createNormalSource(seed, stream);
      return values.map(() => normal() * deviation);
    }
    case 'linear-weight':
      return drawUniform(values, 1 / Math.sqrt(shape[1] ?? 1), seed, stream);
    case 'linear-bias':
      // The fan-in is that of the weight, which stands just before the bias.
      return drawUniform(values, 1 / Math.sqrt(previous?.shape[1] ?? 1), seed, stream);
    case 'norm-weight':
    case 'running-variance':
      return values.fill(1);
    case 'norm-bias':
    case 'running-mean':
    case 'batch-count':
      return values;
  }
}

function drawUniform(values: Float32Array, bound: number, seed: number, stream: number): Float32Array {
  const uniform = createUniformSource(seed, stream);
  return values.map(() => (uniform() * 2 - 1) * bound);
}

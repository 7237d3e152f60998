// The network as a list of layers: what `forward` does, written down once for every graph format.
import { forward, modelSpecification, tensorFlowShape } from '@kindred/simclr';
import type { Architecture, NetworkOperations, NormTensors, ParameterTensors } from '@kindred/simclr';

/** Name of the value that goes in: normalised images. */
export const networkInput = 'normalised';

/**
 * One layer in eval mode. `name` is that of its output; `input`, `left` and `right` are names of earlier layers or
 * {@link networkInput}; `weight`, `bias` and `norm` are names, or the prefix of names, in the model's `state_dict`.
 */
export type Layer = { readonly name: string } & (
  | {
      readonly kind: 'convolution';
      readonly input: string;
      readonly weight: string;
      readonly stride: number;
      /** Zeros on every side. */
      readonly padding: number;
    }
  | { readonly kind: 'batch-norm'; readonly input: string; readonly norm: string }
  | { readonly kind: 'relu'; readonly input: string }
  | { readonly kind: 'add'; readonly left: string; readonly right: string }
  /** Windows of `size`, moved by `stride`; `padding` zeros on every side of values that are not negative. */
  | {
      readonly kind: 'max-pool';
      readonly input: string;
      readonly size: number;
      readonly stride: number;
      readonly padding: number;
    }
  /** Mean over height and width. */
  | { readonly kind: 'average-pool'; readonly input: string }
  | { readonly kind: 'linear'; readonly input: string; readonly weight: string; readonly bias: string }
  /** Rows divided by max(their Euclidean norm, 1e-12). */
  | { readonly kind: 'unit-rows'; readonly input: string }
);

/** A network written down. */
export interface NetworkLayers {
  /** In an order in which they can be computed. */
  readonly layers: readonly Layer[];
  /** Name of the layer that gives the backbone's features, `[n, 8·width]`. */
  readonly backbone: string;
  /** Name of the layer that gives the embedding, `[n, featureDim]`. */
  readonly embedding: string;
}

type Map4 = Parameters<NetworkOperations['convolution']>[0];

/** What stands for a tensor while the network is written down. */
interface Named {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A side that all forms of the network take. */
const imageSide = 96;

/** Writes down the layers of `architecture`, by running `forward` on names in place of tensors. */
export function networkLayers(architecture: Architecture): NetworkLayers {
  const layers: Layer[] = [];
  const add = <T>(layer: Layer): T => {
    layers.push(layer);
    return named<T>(layer.name);
  };
  const norm = (input: Map4, { scale }: NormTensors): Map4 => {
    const name = nameOf(scale).replace(/\.weight$/, '');
    return add({ kind: 'batch-norm', name, input: nameOf(input), norm: name });
  };
  const relu = <T>(input: T): T => add({ kind: 'relu', name: `${nameOf(input)}/relu`, input: nameOf(input) });
  const result = (output: Map4, { runningMean, runningVariance }: NormTensors) => ({
    output,
    runningMean,
    runningVariance,
  });
  const operations: NetworkOperations = {
    convolution: (x, kernel, stride, padding) => {
      const weight = nameOf(kernel);
      return add({ kind: 'convolution', name: moduleOf(weight), input: nameOf(x), weight, stride, padding });
    },
    batchNorm: (x, tensors) => result(norm(x, tensors), tensors),
    batchNormRelu: (x, tensors) => result(relu(norm(x, tensors)), tensors),
    batchNormAddRelu: (x, tensors, residual) => {
      const left = nameOf(norm(x, tensors));
      const sum = add<Map4>({ kind: 'add', name: `${left}/add`, left, right: nameOf(residual) });
      return result(relu(sum), tensors);
    },
    maxPool: (x, size, stride, padding) =>
      add({ kind: 'max-pool', name: 'backbone.maxpool', input: nameOf(x), size, stride, padding }),
    averagePool: (x) => add({ kind: 'average-pool', name: 'backbone.avgpool', input: nameOf(x) }),
    linear: (x, weight, bias) =>
      add({
        kind: 'linear',
        name: moduleOf(nameOf(weight)),
        input: nameOf(x),
        weight: nameOf(weight),
        bias: nameOf(bias),
      }),
    relu,
    normaliseRows: (x) => add({ kind: 'unit-rows', name: 'unit', input: nameOf(x) }),
  };
  const parameters: ParameterTensors = Object.fromEntries(
    modelSpecification(architecture).map(({ name, shape, kind }) => [name, named(name, tensorFlowShape(shape, kind))]),
  );
  const images = named<Map4>(networkInput, [1, imageSide, imageSide, 3]);
  const { backbone, embedding } = forward(architecture, parameters, images, { operations });
  return { layers, backbone: nameOf(backbone), embedding: nameOf(embedding) };
}

/** `forward` only hands tensors on to its operations and looks at the shapes of its input and of kernels. */
function named<T>(name: string, shape: readonly number[] = []): T {
  return { name, shape } satisfies Named as unknown as T;
}

function nameOf(tensor: unknown): string {
  return (tensor as Named).name;
}

function moduleOf(weight: string): string {
  return weight.replace(/\.weight$/, '');
}

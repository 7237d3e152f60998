// The forward pass: ResNet-18 (He et al. 2016, the two forms of SCAN's reference), projection head, normalisation.
import type * as tf from '@tensorflow/tfjs-core';
import { KindredError, invalidField } from '@kindred/errors';
import { portableOperations } from './operations.js';
import type { Architecture, BackboneForm } from './architecture.js';
import type { NetworkOperations, NormResult, NormTensors } from './operations.js';

/** A model's tensors by `state_dict` name, in TensorFlow's layout. */
export type ParameterTensors = Readonly<Record<string, tf.Tensor>>;

/** How to run the network. */
export interface ForwardOptions {
  /** Whether BatchNorm uses the batch's statistics (and reports new running ones). @default false */
  readonly training?: boolean;
  /** @default portableOperations */
  readonly operations?: NetworkOperations;
}

/** What the network gives. */
export interface ForwardResult {
  /** The backbone's features, `[n, 8·width]`: what the memory bank of other methods holds. */
  readonly backbone: tf.Tensor2D;
  /** The L2-normalised output of the projection head, `[n, featureDim]`. */
  readonly embedding: tf.Tensor2D;
  /** New `running_mean` and `running_var` tensors by name; empty unless training. */
  readonly updatedStatistics: Readonly<Record<string, tf.Tensor1D>>;
}

interface Stem {
  readonly stride: number;
  readonly pool: { readonly size: number; readonly stride: number; readonly padding: number } | null;
}

/** What comes before the first stage: the reference's, and that of He et al. 2016 (table 1). */
const stems: Readonly<Record<BackboneForm, Stem>> = {
  cifar: { stride: 1, pool: null },
  stl: { stride: 1, pool: { size: 2, stride: 2, padding: 1 } },
  imagenet: { stride: 2, pool: { size: 3, stride: 2, padding: 1 } },
};
/** Side of the feature map that the STL form averages (its input is 96×96). */
const stlFinalSide = 7;
const stlImageSide = 96;

/**
 * Runs the network on normalised images `x: [n, h, w, 3]`. Any h and w in the CIFAR and ImageNet forms; in the STL form those
 * whose last feature map is 7×7 (as 96×96 gives).
 *
 * @throws KindredError INVALID_ARGUMENT for a missing parameter or an image size that the form can't take.
 */
export function forward(
  architecture: Architecture,
  parameters: ParameterTensors,
  x: tf.Tensor4D,
  { training = false, operations = portableOperations }: ForwardOptions = {},
): ForwardResult {
  checkImageSize(architecture, x.shape[1], x.shape[2]);
  const layers = createLayers(parameters, training, operations);
  const { stride, pool } = stems[architecture.form];
  let map = layers.convolutionNormRelu('backbone.conv1', 'backbone.bn1', x, stride);
  if (pool !== null) map = operations.maxPool(map, pool.size, pool.stride, pool.padding);
  for (const stage of [1, 2, 3, 4]) {
    for (const block of [0, 1]) {
      map = residualBlock(layers, `backbone.layer${stage}.${block}`, map, stage > 1 && block === 0 ? 2 : 1);
    }
  }
  const backbone = operations.averagePool(map);
  const embedding = operations.normaliseRows(project(architecture, layers, operations, backbone));
  return { backbone, embedding, updatedStatistics: layers.updatedStatistics };
}

/** Side of the last feature map for an image side; each stride-2 step with padding 1 gives ceil(side / 2). */
export function finalMapSide(architecture: Architecture, side: number): number {
  const { pool } = stems[architecture.form];
  let result = firstMapSide(architecture, side);
  if (pool !== null) result = Math.floor((result + 2 * pool.padding - pool.size) / pool.stride) + 1;
  for (let stage = 2; stage <= 4; stage++) result = Math.ceil(result / 2);
  return result;
}

/** Side of the first feature map, the largest of all, for an image side. */
export function firstMapSide({ form }: Architecture, side: number): number {
  return Math.ceil(side / stems[form].stride);
}

/** The only height and width in pixels that the form takes; null: any. */
export function onlyImageSide({ form }: Architecture): number | null {
  return form === 'stl' ? stlImageSide : null;
}

/** @throws KindredError INVALID_ARGUMENT when the form can't take images of this size. */
export function checkImageSize(architecture: Architecture, height: number, width: number): void {
  for (const [field, side] of Object.entries({ height, width })) {
    if (!Number.isInteger(side) || side < 1)
      throw invalidField(`image.${field}`, `got ${side}; allowed: a whole number above 0`);
    if (architecture.form === 'stl' && finalMapSide(architecture, side) !== stlFinalSide) {
      throw invalidField(`image.${field}`, `got ${side}; allowed with the stl form: 96 (any size with the others)`);
    }
  }
}

interface Layers {
  readonly updatedStatistics: Record<string, tf.Tensor1D>;
  get(name: string): tf.Tensor;
  convolution(name: string, x: tf.Tensor4D, stride: number): tf.Tensor4D;
  norm(name: string, x: tf.Tensor4D): tf.Tensor4D;
  normAddRelu(name: string, x: tf.Tensor4D, residual: tf.Tensor4D): tf.Tensor4D;
  convolutionNormRelu(convolution: string, norm: string, x: tf.Tensor4D, stride: number): tf.Tensor4D;
}

function createLayers(parameters: ParameterTensors, training: boolean, operations: NetworkOperations): Layers {
  const updatedStatistics: Record<string, tf.Tensor1D> = {};
  const get = (name: string): tf.Tensor => {
    const tensor = parameters[name];
    if (tensor === undefined) throw new KindredError('INVALID_ARGUMENT', `the model's parameters have no '${name}'`);
    return tensor;
  };
  const normTensors = (name: string): NormTensors => ({
    scale: get(`${name}.weight`) as tf.Tensor1D,
    offset: get(`${name}.bias`) as tf.Tensor1D,
    runningMean: get(`${name}.running_mean`) as tf.Tensor1D,
    runningVariance: get(`${name}.running_var`) as tf.Tensor1D,
  });
  const noting = (name: string, run: (norm: NormTensors) => NormResult): tf.Tensor4D => {
    const result = run(normTensors(name));
    if (training) {
      updatedStatistics[`${name}.running_mean`] = result.runningMean;
      updatedStatistics[`${name}.running_var`] = result.runningVariance;
    }
    return result.output;
  };
  const convolution = (name: string, x: tf.Tensor4D, stride: number): tf.Tensor4D => {
    const kernel = get(`${name}.weight`) as tf.Tensor4D;
    return operations.convolution(x, kernel, stride, (kernel.shape[0] - 1) / 2);
  };
  return {
    updatedStatistics,
    get,
    convolution,
    norm: (name, x) => noting(name, (norm) => operations.batchNorm(x, norm, training)),
    normAddRelu: (name, x, residual) =>
      noting(name, (norm) => operations.batchNormAddRelu(x, norm, residual, training)),
    convolutionNormRelu: (first, second, x, stride) =>
      noting(second, (norm) => operations.batchNormRelu(convolution(first, x, stride), norm, training)),
  };
}

function residualBlock(layers: Layers, name: string, x: tf.Tensor4D, stride: number): tf.Tensor4D {
  const inner = layers.convolutionNormRelu(`${name}.conv1`, `${name}.bn1`, x, stride);
  const shortcut =
    stride === 1 ? x : layers.norm(`${name}.shortcut.1`, layers.convolution(`${name}.shortcut.0`, x, stride));
  return layers.normAddRelu(`${name}.bn2`, layers.convolution(`${name}.conv2`, inner, 1), shortcut);
}

function project(
  { head }: Architecture,
  { get }: Layers,
  operations: NetworkOperations,
  features: tf.Tensor2D,
): tf.Tensor2D {
  const linear = (name: string, x: tf.Tensor2D): tf.Tensor2D =>
    operations.linear(x, get(`${name}.weight`) as tf.Tensor2D, get(`${name}.bias`) as tf.Tensor1D);
  if (head === 'none') return features;
  if (head === 'linear') return linear('contrastive_head', features);
  return linear('contrastive_head.2', operations.relu(linear('contrastive_head.0', features)));
}

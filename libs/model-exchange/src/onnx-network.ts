// A model as an ONNX file: operators of the standard, weights inside, any number of images.
import { encodeOnnxModel } from '@kindred/formats';
import type { OnnxNode, OnnxTensor } from '@kindred/formats';
import { batchNormEpsilon, modelSpecification, onlyImageSide } from '@kindred/simclr';
import type { ModelFile } from '@kindred/simclr';
import { networkInput, networkLayers, type Layer } from './network-layers.js';

/** The last operator set in which ReduceL2 has its axes as an attribute; runtimes read all older ones. */
const operatorSet = 17;

/**
 * The bytes of a `.onnx` file, operator set 17. Input `images`, uint8 `[batch, height, width, 3]` (96×96 in the STL form), cropped
 * already; outputs `features` (the backbone's, float32 `[batch, 8·width]`) and `embedding` (of unit length, float32
 * `[batch, featureDim]`). The normalisation is inside.
 */
export function toOnnxModel(model: ModelFile): Uint8Array {
  const { architecture, parameters, normalisation, cropSize, origin } = model;
  const { layers, backbone, embedding } = networkLayers(architecture);
  const side = onlyImageSide(architecture);
  const [height, width] = side === null ? ['height', 'width'] : [side, side];
  const weights = modelSpecification(architecture)
    .filter(({ kind }) => kind !== 'batch-count')
    .map(({ name, shape }): OnnxTensor => ({ name, dtype: 'float32', shape, data: parameters[name] as Float32Array }));
  return encodeOnnxModel({
    name: 'contrastive-model',
    operatorSet,
    inputs: [{ name: 'images', dtype: 'uint8', shape: ['batch', height, width, 3] }],
    outputs: [
      { name: 'features', dtype: 'float32', shape: ['batch', architecture.width * 8] },
      { name: 'embedding', dtype: 'float32', shape: ['batch', architecture.featureDim] },
    ],
    constants: [
      ...weights,
      constant('scale', [], [1 / 255]),
      constant('mean', [3], normalisation.mean),
      constant(
        'inverse_std',
        [3],
        normalisation.std.map((value) => 1 / value),
      ),
      constant('smallest_norm', [], [1e-12]),
    ],
    nodes: [
      node('pixels', 'Cast', ['images'], { to: 1 }),
      node('unit_pixels', 'Mul', ['pixels', 'scale']),
      node('centred', 'Sub', ['unit_pixels', 'mean']),
      node('standardised', 'Mul', ['centred', 'inverse_std']),
      node(networkInput, 'Transpose', ['standardised'], { perm: [0, 3, 1, 2] }),
      ...layers.flatMap(layerNodes),
      node('features', 'Identity', [backbone]),
      node('embedding', 'Identity', [embedding]),
    ],
    metadata: {
      crop_size: String(cropSize),
      ...Object.fromEntries(Object.entries(origin).map(([key, value]) => [`origin.${key}`, value])),
    },
  });
}

function layerNodes(layer: Layer): OnnxNode[] {
  const { name } = layer;
  switch (layer.kind) {
    case 'convolution': {
      const { stride, padding } = layer;
      const attributes = { strides: [stride, stride], pads: [padding, padding, padding, padding] };
      return [node(name, 'Conv', [layer.input, layer.weight], attributes)];
    }
    case 'batch-norm': {
      const tensors = ['weight', 'bias', 'running_mean', 'running_var'].map((part) => `${layer.norm}.${part}`);
      return [node(name, 'BatchNormalization', [layer.input, ...tensors], { epsilon: { float: batchNormEpsilon } })];
    }
    case 'relu':
      return [node(name, 'Relu', [layer.input])];
    case 'add':
      return [node(name, 'Add', [layer.left, layer.right])];
    case 'max-pool': {
      const { size, stride, padding } = layer;
      const pads = [padding, padding, padding, padding];
      return [node(name, 'MaxPool', [layer.input], { kernel_shape: [size, size], strides: [stride, stride], pads })];
    }
    case 'average-pool':
      return [
        node(`${name}/map`, 'GlobalAveragePool', [layer.input]),
        node(name, 'Flatten', [`${name}/map`], { axis: 1 }),
      ];
    case 'linear':
      return [node(name, 'Gemm', [layer.input, layer.weight, layer.bias], { transB: 1 })];
    case 'unit-rows':
      return [
        node(`${name}/norms`, 'ReduceL2', [layer.input], { axes: [1], keepdims: 1 }),
        node(`${name}/divisors`, 'Max', [`${name}/norms`, 'smallest_norm']),
        node(name, 'Div', [layer.input, `${name}/divisors`]),
      ];
  }
}

function node(name: string, op: string, inputs: readonly string[], attributes: OnnxNode['attributes'] = {}): OnnxNode {
  return { name, op, inputs, outputs: [name], attributes };
}

function constant(name: string, shape: readonly number[], values: readonly number[]): OnnxTensor {
  return { name, dtype: 'float32', shape, data: Float32Array.from(values) };
}

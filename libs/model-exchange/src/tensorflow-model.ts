// A model as TensorFlow's SavedModel: standard operations only, weights as constants, any number of images.
import { encodeSavedModel, graphAttributeTypes, graphDataTypes } from '@kindred/formats';
import type { GraphAttribute, GraphNode, GraphSignature } from '@kindred/formats';
import {
  batchNormEpsilon,
  modelSpecification,
  onlyImageSide,
  tensorFlowShape,
  toTensorFlowLayout,
} from '@kindred/simclr';
import type { ModelFile } from '@kindred/simclr';
import { networkInput, networkLayers, type Layer, type NetworkLayers } from './network-layers.js';

/** The tag that TensorFlow Serving and `tf.saved_model.load` look for. */
const servingTag = 'serve';

/**
 * The bytes of `saved_model.pb`. Signature `serving_default` takes `images`, uint8 `[n, height, width, 3]` of any size (96×96 in the
 * STL form), cropped already; `serving_float` takes the same as float32 from 0 to 255. Both normalise them as in training and
 * give `features` (the backbone's, float32 `[n, 8·width]`) and `embedding` (of unit length, float32 `[n, featureDim]`).
 */
export function toSavedModel(model: ModelFile): Uint8Array {
  const network = networkLayers(model.architecture);
  const side = onlyImageSide(model.architecture) ?? -1;
  const parts = (['uint8', 'float32'] as const).map((dtype) => functionNodes(model, network, dtype, side));
  return encodeSavedModel({
    tag: servingTag,
    nodes: [...constantNodes(model), ...parts.flatMap(({ nodes }) => nodes)],
    signatures: Object.fromEntries(parts.map(({ name, signature }) => [name, signature])),
  });
}

const float = type('T', 'float32');
const layout = text('data_format', 'NHWC');

/** Weights in TensorFlow's layout, under their `state_dict` names, and the few numbers that the operations take. */
function constantNodes({ architecture, parameters, normalisation: { mean, std } }: ModelFile): GraphNode[] {
  const weights = modelSpecification(architecture)
    .filter(({ kind }) => kind !== 'batch-count')
    .map(({ name, shape, kind }) =>
      floats(
        `weights/${name}`,
        tensorFlowShape(shape, kind),
        toTensorFlowLayout(parameters[name] as Float32Array, shape, kind),
      ),
    );
  return [
    ...weights,
    floats('constants/scale', [], Float32Array.of(1 / 255)),
    floats('constants/mean', [3], Float32Array.from(mean)),
    floats(
      'constants/inverse_std',
      [3],
      Float32Array.from(std, (value) => 1 / value),
    ),
    floats('constants/smallest_norm', [], Float32Array.of(1e-12)),
    whole('constants/map_axes', [2], Int32Array.of(1, 2)),
    whole('constants/row_axis', [1], Int32Array.of(1)),
  ];
}

interface GraphFunction {
  readonly name: string;
  readonly nodes: readonly GraphNode[];
  readonly signature: GraphSignature;
}

function functionNodes(
  { architecture }: ModelFile,
  network: NetworkLayers,
  dtype: 'uint8' | 'float32',
  side: number,
): GraphFunction {
  const name = dtype === 'uint8' ? 'serving_default' : 'serving_float';
  const scope = (inner: string): string => `${name}/${inner}`;
  const shape = [-1, side, side, 3];
  const images = scope('images');
  const cast: GraphNode[] =
    dtype === 'uint8'
      ? [node(scope('pixels'), 'Cast', [type('SrcT', 'uint8'), type('DstT', 'float32')], [images])]
      : [node(scope('pixels'), 'Identity', [float], [images])];
  const nodes = [
    node(images, 'Placeholder', [type('dtype', dtype), dimensions('shape', shape)], []),
    ...cast,
    node(scope('unit_pixels'), 'Mul', [float], [scope('pixels'), 'constants/scale']),
    node(scope('centred'), 'Sub', [float], [scope('unit_pixels'), 'constants/mean']),
    node(scope(networkInput), 'Mul', [float], [scope('centred'), 'constants/inverse_std']),
    ...network.layers.flatMap((layer) => layerNodes(layer, scope)),
    node(scope('features'), 'Identity', [float], [scope(network.backbone)]),
    node(scope('embedding'), 'Identity', [float], [scope(network.embedding)]),
  ];
  const output = (of: string, size: number) => ({
    tensor: `${scope(of)}:0`,
    dtype: graphDataTypes.float32,
    shape: [-1, size],
  });
  return {
    name,
    nodes,
    signature: {
      inputs: { images: { tensor: `${images}:0`, dtype: graphDataTypes[dtype], shape } },
      outputs: {
        features: output('features', architecture.width * 8),
        embedding: output('embedding', architecture.featureDim),
      },
    },
  };
}

function layerNodes(layer: Layer, scope: (name: string) => string): GraphNode[] {
  const name = scope(layer.name);
  switch (layer.kind) {
    case 'convolution': {
      const { stride, padding } = layer;
      const attributes = [
        float,
        layout,
        wholes('strides', [1, stride, stride, 1]),
        wholes('dilations', [1, 1, 1, 1]),
        ...paddingAttributes(padding),
      ];
      return [node(name, 'Conv2D', attributes, [scope(layer.input), `weights/${layer.weight}`])];
    }
    case 'batch-norm': {
      const attributes = [float, type('U', 'float32'), layout, real('epsilon', batchNormEpsilon)];
      const tensors = ['weight', 'bias', 'running_mean', 'running_var'].map((part) => `weights/${layer.norm}.${part}`);
      const inputs = [scope(layer.input), ...tensors];
      return [node(name, 'FusedBatchNormV3', [...attributes, flag('is_training', false)], inputs)];
    }
    case 'relu':
      return [node(name, 'Relu', [float], [scope(layer.input)])];
    case 'add':
      return [node(name, 'AddV2', [float], [scope(layer.left), scope(layer.right)])];
    case 'max-pool': {
      const { size, stride, padding } = layer;
      const around = whole(`${name}/paddings`, [4, 2], Int32Array.of(0, 0, padding, padding, padding, padding, 0, 0));
      const pool = [
        float,
        layout,
        wholes('ksize', [1, size, size, 1]),
        wholes('strides', [1, stride, stride, 1]),
        text('padding', 'VALID'),
      ];
      return [
        around,
        node(`${name}/pad`, 'Pad', [float, type('Tpaddings', 'int32')], [scope(layer.input), around.name]),
        node(name, 'MaxPool', pool, [`${name}/pad`]),
      ];
    }
    case 'average-pool':
      return [node(name, 'Mean', reduction(false), [scope(layer.input), 'constants/map_axes'])];
    case 'linear': {
      const product = [float, flag('transpose_a', false), flag('transpose_b', false)];
      return [
        node(`${name}/product`, 'MatMul', product, [scope(layer.input), `weights/${layer.weight}`]),
        node(name, 'BiasAdd', [float, layout], [`${name}/product`, `weights/${layer.bias}`]),
      ];
    }
    case 'unit-rows':
      return [
        node(`${name}/squares`, 'Square', [float], [scope(layer.input)]),
        node(`${name}/sums`, 'Sum', reduction(true), [`${name}/squares`, 'constants/row_axis']),
        node(`${name}/norms`, 'Sqrt', [float], [`${name}/sums`]),
        node(`${name}/divisors`, 'Maximum', [float], [`${name}/norms`, 'constants/smallest_norm']),
        node(name, 'RealDiv', [float], [scope(layer.input), `${name}/divisors`]),
      ];
  }
}

function paddingAttributes(padding: number): GraphAttribute[] {
  if (padding === 0) return [text('padding', 'VALID')];
  return [text('padding', 'EXPLICIT'), wholes('explicit_paddings', [0, 0, padding, padding, padding, padding, 0, 0])];
}

function reduction(keepDimensions: boolean): GraphAttribute[] {
  return [float, type('Tidx', 'int32'), flag('keep_dims', keepDimensions)];
}

function node(name: string, op: string, attributes: readonly GraphAttribute[], inputs: readonly string[]): GraphNode {
  return { name, op, attributes, inputs, constant: null };
}

function floats(name: string, shape: readonly number[], data: Float32Array): GraphNode {
  return constant(name, 'float32', shape, data);
}

function whole(name: string, shape: readonly number[], data: Int32Array): GraphNode {
  return constant(name, 'int32', shape, data);
}

function constant(
  name: string,
  dtype: 'float32' | 'int32',
  shape: readonly number[],
  data: Float32Array | Int32Array,
): GraphNode {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return {
    name,
    op: 'Const',
    attributes: [],
    inputs: [],
    constant: { dtype: graphDataTypes[dtype], shape, bytes },
  };
}

function type(name: string, dtype: keyof typeof graphDataTypes): GraphAttribute {
  return { name, type: graphAttributeTypes.type, value: graphDataTypes[dtype] };
}

function text(name: string, value: string): GraphAttribute {
  return { name, type: graphAttributeTypes.string, value };
}

function wholes(name: string, value: readonly number[]): GraphAttribute {
  return { name, type: graphAttributeTypes.int, value };
}

function real(name: string, value: number): GraphAttribute {
  return { name, type: graphAttributeTypes.float, value };
}

function flag(name: string, value: boolean): GraphAttribute {
  return { name, type: graphAttributeTypes.bool, value };
}

function dimensions(name: string, value: readonly number[]): GraphAttribute {
  return { name, type: graphAttributeTypes.shape, value };
}

// Projection heads of others as one of ours: one or two linear layers, each with a BatchNorm that is folded into it.
import { KindredError } from '@kindred/errors';
import { toFloat32, type NamedTensors, type Tensor } from '@kindred/formats';
import { batchNormEpsilon, type HeadKind } from '@kindred/simclr';

/** A head under our names. */
export interface RenamedHead {
  readonly kind: HeadKind;
  /** Length of its output; null without a head. */
  readonly featureDim: number | null;
  /** `contrastive_head.…`. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

interface LinearLayer {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

const normParts = ['weight', 'bias', 'running_mean', 'running_var'] as const;

/**
 * Reads a head from its tensors by name without prefix (`0.weight`, `2.bias`, or `weight` of a single layer). No tensors: no head.
 * @throws KindredError INVALID_ARGUMENT listing the tensors when they are not one or two linear layers, each with or without a bias
 *   and a BatchNorm after it.
 */
export function readHead(tensors: NamedTensors): RenamedHead {
  if (tensors.size === 0) return { kind: 'none', featureDim: null, tensors: new Map() };
  const layers = linearLayers(tensors);
  const names = layers.length === 1 ? ['contrastive_head'] : ['contrastive_head.0', 'contrastive_head.2'];
  return {
    kind: layers.length === 1 ? 'linear' : 'mlp',
    featureDim: layers.at(-1)?.weight.shape[0] ?? null,
    tensors: new Map(
      layers.flatMap(({ weight, bias }, i): [string, Tensor][] => [
        [`${names[i]}.weight`, weight],
        [`${names[i]}.bias`, bias],
      ]),
    ),
  };
}

function linearLayers(tensors: NamedTensors): LinearLayer[] {
  const modules = new Map<string, Map<string, Tensor>>();
  for (const [name, value] of tensors) {
    const at = name.lastIndexOf('.');
    const parts = modules.get(name.slice(0, Math.max(at, 0))) ?? new Map<string, Tensor>();
    modules.set(name.slice(0, Math.max(at, 0)), parts.set(name.slice(at + 1), value));
  }
  const layers: LinearLayer[] = [];
  for (const [, parts] of [...modules].sort(([a], [b]) => Number(a) - Number(b))) {
    const weight = parts.get('weight');
    const last = layers.at(-1);
    if (weight?.shape.length === 2) layers.push(linear(weight, parts.get('bias')));
    else if (last !== undefined && normParts.every((part) => parts.get(part)?.shape[0] === last.weight.shape[0])) {
      layers[layers.length - 1] = folded(last, parts);
    } else throw notAHead(tensors);
  }
  if (layers.length < 1 || layers.length > 2) throw notAHead(tensors);
  return layers;
}

function linear(weight: Tensor, bias: Tensor | undefined): LinearLayer {
  const outputs = weight.shape[0] ?? 0;
  return { weight, bias: bias ?? { dtype: 'F32', shape: [outputs], data: new Float32Array(outputs) } };
}

/** In eval mode BatchNorm is γ·(y − μ)/√(σ² + ε) + β (Ioffe and Szegedy 2015): a factor and an offset for each output of the layer. */
function folded({ weight, bias }: LinearLayer, norm: ReadonlyMap<string, Tensor>): LinearLayer {
  const [gamma, beta, mean, variance] = normParts.map((part) => toFloat32(norm.get(part) as Tensor)) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const factors = Float64Array.from(gamma, (value, i) => value / Math.sqrt((variance[i] ?? 0) + batchNormEpsilon));
  const inputs = weight.shape[1] ?? 1;
  const offsets = toFloat32(bias);
  return {
    weight: {
      dtype: 'F32',
      shape: weight.shape,
      data: toFloat32(weight).map((value, i) => value * (factors[Math.floor(i / inputs)] ?? 0)),
    },
    bias: {
      dtype: 'F32',
      shape: bias.shape,
      data: offsets.map((value, i) => (value - (mean[i] ?? 0)) * (factors[i] ?? 0) + (beta[i] ?? 0)),
    },
  };
}

function notAHead(tensors: NamedTensors): KindredError {
  const found = [...tensors].map(([name, { shape }]) => `${name} [${shape.join(', ')}]`).join(', ');
  return new KindredError(
    'INVALID_ARGUMENT',
    `the projection head has ${found}; allowed: one or two linear layers, each with or without BatchNorm after it`,
    { violations: [{ field: 'contrastive_head', description: `got ${found}` }] },
  );
}

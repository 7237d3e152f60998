// The list of a model's tensors: PyTorch's state_dict of the reference's ContrastiveModel, as data.
import { invalidField } from '@kindred/errors';
import { backboneDim } from './architecture.js';
import type { Architecture } from './architecture.js';

/** The part that a tensor plays. */
export type ParameterKind =
  | 'convolution-weight'
  | 'linear-weight'
  | 'linear-bias'
  | 'norm-weight'
  | 'norm-bias'
  | 'running-mean'
  | 'running-variance'
  | 'batch-count';

/** One tensor of a model. */
export interface ParameterSpecification {
  /** Name in PyTorch's `state_dict`, e.g. `backbone.layer1.0.conv1.weight`. */
  readonly name: string;
  /** Shape in PyTorch's layout: convolutions `[out, in, height, width]`, linear layers `[out, in]`. */
  readonly shape: readonly number[];
  readonly kind: ParameterKind;
  /** Whether the optimizer moves it; false for BatchNorm's running statistics. */
  readonly trainable: boolean;
}

/**
 * A model's tensors by `state_dict` name, in PyTorch's layout, row-major. `num_batches_tracked` (int64 in PyTorch) is one
 * float32 here, exact below 2^24 batches.
 */
export type StateDict = Readonly<Record<string, Float32Array>>;

/** The tensors of `architecture` in the order of PyTorch's `state_dict`. */
export function modelSpecification(architecture: Architecture): readonly ParameterSpecification[] {
  const { form, width, head, featureDim } = architecture;
  const dim = backboneDim(architecture);
  const stages = [1, 2, 4, 8].flatMap((factor, index) => stage(index + 1, width, width * factor));
  const projections = {
    mlp: [...linear('contrastive_head.0', dim, dim), ...linear('contrastive_head.2', dim, featureDim)],
    linear: linear('contrastive_head', dim, featureDim),
    none: [],
  };
  const projection = projections[head];
  return [
    convolution('backbone.conv1', 3, width, form === 'imagenet' ? 7 : 3),
    ...norm('backbone.bn1', width),
    ...stages,
    ...projection,
  ];
}

/** Number of values of one tensor; 1 for a scalar. */
export function parameterSize(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * Checks that `state` holds exactly the tensors of `architecture`.
 *
 * @throws KindredError INVALID_ARGUMENT naming the first tensor that is missing, superfluous or of the wrong size.
 */
export function checkStateDict(architecture: Architecture, state: StateDict): void {
  const specification = modelSpecification(architecture);
  for (const { name, shape } of specification) {
    const values = state[name];
    const size = parameterSize(shape);
    if (values === undefined)
      throw invalidField(name, `missing; the architecture has it with shape [${shape.join(', ')}]`);
    if (values.length !== size) {
      throw invalidField(name, `got ${values.length} values; allowed: ${size}, for shape [${shape.join(', ')}]`);
    }
  }
  const known = new Set(specification.map(({ name }) => name));
  const extra = Object.keys(state).find((name) => !known.has(name));
  if (extra !== undefined)
    throw invalidField(extra, `not a tensor of this architecture; its first is ${specification[0]?.name}`);
}

function stage(number: number, width: number, planes: number): ParameterSpecification[] {
  const input = number === 1 ? width : planes / 2;
  return [
    ...block(`backbone.layer${number}.0`, input, planes, number > 1),
    ...block(`backbone.layer${number}.1`, planes, planes, false),
  ];
}

function block(name: string, input: number, planes: number, shortcut: boolean): ParameterSpecification[] {
  return [
    convolution(`${name}.conv1`, input, planes, 3),
    ...norm(`${name}.bn1`, planes),
    convolution(`${name}.conv2`, planes, planes, 3),
    ...norm(`${name}.bn2`, planes),
    ...(shortcut ? [convolution(`${name}.shortcut.0`, input, planes, 1), ...norm(`${name}.shortcut.1`, planes)] : []),
  ];
}

function convolution(name: string, input: number, output: number, size: number): ParameterSpecification {
  return { name: `${name}.weight`, shape: [output, input, size, size], kind: 'convolution-weight', trainable: true };
}

function linear(name: string, input: number, output: number): ParameterSpecification[] {
  return [
    { name: `${name}.weight`, shape: [output, input], kind: 'linear-weight', trainable: true },
    { name: `${name}.bias`, shape: [output], kind: 'linear-bias', trainable: true },
  ];
}

function norm(name: string, channels: number): ParameterSpecification[] {
  return [
    { name: `${name}.weight`, shape: [channels], kind: 'norm-weight', trainable: true },
    { name: `${name}.bias`, shape: [channels], kind: 'norm-bias', trainable: true },
    { name: `${name}.running_mean`, shape: [channels], kind: 'running-mean', trainable: false },
    { name: `${name}.running_var`, shape: [channels], kind: 'running-variance', trainable: false },
    { name: `${name}.num_batches_tracked`, shape: [], kind: 'batch-count', trainable: false },
  ];
}

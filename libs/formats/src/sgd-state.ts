// The state_dict of torch.optim.SGD, to and from plain fields.
import { KindredError } from '@kindred/errors';
import { isTensor } from './pickle-value.js';
import type { PickleKey, PickleValue } from './pickle-value.js';
import type { Tensor } from './tensor.js';

/** What SGD with momentum knows, over one parameter group. */
export interface SgdState {
  /** Learning rate. */
  readonly lr: number;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly nesterov: boolean;
  /** Momentum buffer of each parameter in `model.parameters()` order; `null` before its first step. */
  readonly momentumBuffers: readonly (Tensor | null)[];
}

/** The `state_dict` that `torch.optim.SGD` of these settings would give; `load_state_dict` takes it. */
export function sgdToStateDict({ lr, momentum, weightDecay, nesterov, momentumBuffers }: SgdState): PickleValue {
  const state = new Map<PickleKey, PickleValue>();
  momentumBuffers.forEach((buffer, i) => {
    if (buffer !== null) state.set(i, new Map([['momentum_buffer', buffer]]));
  });
  const group = new Map<PickleKey, PickleValue>([
    ['lr', { float: lr }],
    ['momentum', { float: momentum }],
    ['dampening', 0],
    ['weight_decay', { float: weightDecay }],
    ['nesterov', nesterov],
    ['maximize', false],
    ['foreach', null],
    ['differentiable', false],
    ['fused', null],
    ['params', momentumBuffers.map((_, i) => i)],
  ]);
  return new Map<PickleKey, PickleValue>([
    ['state', state],
    ['param_groups', [group]],
  ]);
}

/** The inverse of {@link sgdToStateDict}, for files of PyTorch too; DATA_LOSS when it is no SGD state of one parameter group. */
export function sgdFromStateDict(value: PickleValue): SgdState {
  const groups = asDict(value)?.get('param_groups');
  const group = Array.isArray(groups) && groups.length === 1 ? asDict(groups[0] as PickleValue) : undefined;
  const params = group?.get('params');
  const state = asDict(asDict(value)?.get('state'));
  if (group === undefined || state === undefined || !Array.isArray(params)) {
    throw new KindredError(
      'DATA_LOSS',
      'optimizer state: got no {state, param_groups: [one group]} of torch.optim.SGD',
    );
  }
  return {
    lr: numberOf(group, 'lr'),
    momentum: numberOf(group, 'momentum'),
    weightDecay: group.has('weight_decay') ? numberOf(group, 'weight_decay') : 0,
    nesterov: group.get('nesterov') === true,
    momentumBuffers: (params as readonly PickleKey[]).map((key) => {
      const buffer = asDict(state.get(key))?.get('momentum_buffer');
      return isTensor(buffer) ? buffer : null;
    }),
  };
}

function asDict(value: PickleValue | undefined): ReadonlyMap<PickleKey, PickleValue> | undefined {
  return value instanceof Map ? (value as ReadonlyMap<PickleKey, PickleValue>) : undefined;
}

function numberOf(group: ReadonlyMap<PickleKey, PickleValue>, key: string): number {
  const value = group.get(key);
  if (typeof value === 'number') return value;
  throw new KindredError(
    'DATA_LOSS',
    `optimizer state: '${key}' of the parameter group is ${String(value)}; allowed: a number`,
  );
}

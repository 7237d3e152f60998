// A model and a training state as the reference's own PyTorch files.
import { sgdToStateDict, tensor, writePytorchCheckpoint, writePytorchFile } from '@kindred/formats';
import type { PickleValue, Tensor } from '@kindred/formats';
import { modelSpecification, namedTensors } from '@kindred/simclr';
import type { Architecture, ModelFile } from '@kindred/simclr';
import type { TrainingState } from './training-state.js';

/** Settings of `torch.optim.SGD` that a checkpoint carries along. */
export interface SgdSettings {
  /** Learning rate of the last epoch. */
  readonly lr: number;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly nesterov: boolean;
}

/** `model.pth.tar`: the bare `state_dict` that the reference saves last; `load_state_dict(strict=True)` of its ContrastiveModel takes it. */
export function toPytorchModel({
  architecture,
  parameters,
}: Pick<ModelFile, 'architecture' | 'parameters'>): Uint8Array {
  return writePytorchFile(namedTensors(architecture, parameters));
}

/**
 * `checkpoint.pth.tar`: `{optimizer, model, epoch}`, from which the reference's pretext training goes on. `sgd` null leaves the
 * optimizer out: its state is that of another kind than the reference's.
 */
export function toPytorchCheckpoint(
  architecture: Architecture,
  { parameters, momentum, epochsCompleted }: TrainingState,
  sgd: SgdSettings | null,
): Uint8Array {
  const model = namedTensors(architecture, parameters);
  return writePytorchCheckpoint({
    model,
    optimizer: sgd === null ? undefined : optimizerState(architecture, momentum, sgd),
    epoch: epochsCompleted,
  });
}

/** In the order of `model.parameters()`, which is that of the `state_dict` without its statistics. */
function optimizerState(
  architecture: Architecture,
  momentum: TrainingState['momentum'],
  settings: SgdSettings,
): PickleValue {
  const momentumBuffers = modelSpecification(architecture)
    .filter(({ trainable }) => trainable)
    .map(({ name, shape }): Tensor | null => {
      const values = momentum[name];
      return values === undefined ? null : tensor('F32', shape, values);
    });
  return sgdToStateDict({ ...settings, momentumBuffers });
}

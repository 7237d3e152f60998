// The state of a run between two epochs, as one safetensors file: parameters, momentum, and where it stands.
import { KindredError } from '@kindred/errors';
import { decodeSafetensors, encodeSafetensors, type Tensor } from '@kindred/formats';
import { modelSpecification, type Architecture, type StateDict } from '@kindred/simclr';

/** All that a continued run needs. */
export interface Checkpoint {
  readonly parameters: StateDict;
  readonly momentum: StateDict;
  readonly epochsCompleted: number;
  readonly stepsCompleted: number;
  /** The experiment as canonical JSON: a checkpoint is only good for its own experiment. */
  readonly experiment: string;
}

const momentumPrefix = 'momentum/';

/** The bytes of a checkpoint, tensors in PyTorch's names and layout. */
export function encodeCheckpoint(architecture: Architecture, checkpoint: Checkpoint): Uint8Array {
  const tensors = new Map<string, Tensor>();
  const specification = modelSpecification(architecture);
  for (const [prefix, values] of [
    ['', checkpoint.parameters],
    [momentumPrefix, checkpoint.momentum],
  ] as const) {
    for (const { name, shape } of specification) {
      const data = values[name];
      if (data !== undefined) tensors.set(prefix + name, { dtype: 'F32', shape, data });
    }
  }
  return encodeSafetensors(tensors, {
    format: 'kindred-checkpoint',
    version: '1',
    epochs_completed: String(checkpoint.epochsCompleted),
    steps_completed: String(checkpoint.stepsCompleted),
    experiment: checkpoint.experiment,
  });
}

/** Reads what {@link encodeCheckpoint} wrote. @throws KindredError DATA_LOSS for anything else. */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  const { tensors, metadata } = decodeSafetensors(bytes);
  if (metadata['format'] !== 'kindred-checkpoint' || metadata['version'] !== '1') {
    throw new KindredError('DATA_LOSS', `not a checkpoint: its format is '${metadata['format'] ?? ''}'`);
  }
  const parameters: Record<string, Float32Array> = {};
  const momentum: Record<string, Float32Array> = {};
  for (const [name, { data }] of tensors) {
    if (!(data instanceof Float32Array)) throw new KindredError('DATA_LOSS', `checkpoint: ${name} is not float32`);
    if (name.startsWith(momentumPrefix)) momentum[name.slice(momentumPrefix.length)] = data;
    else parameters[name] = data;
  }
  return {
    parameters,
    momentum,
    epochsCompleted: Number(metadata['epochs_completed']),
    stepsCompleted: Number(metadata['steps_completed']),
    experiment: metadata['experiment'] ?? '',
  };
}

// A run's checkpoint as far as other tools can use it: parameters, momentum, epochs.
import { KindredError } from '@kindred/errors';
import { decodeSafetensors } from '@kindred/formats';
import type { StateDict } from '@kindred/simclr';

/** The state of a run between two steps. */
export interface TrainingState {
  readonly parameters: StateDict;
  /** Momentum buffers of the trainable parameters. */
  readonly momentum: StateDict;
  /** Whole epochs. */
  readonly epochsCompleted: number;
}

const formatName = 'kindred-checkpoint';
const formatVersion = '2';
const momentumPrefix = 'momentum/';

/**
 * Reads a checkpoint of the trainer (`checkpoints/*.safetensors`). @throws KindredError DATA_LOSS when it is damaged, INVALID_ARGUMENT when
 * it is something else, or of another version.
 */
export function readTrainingState(bytes: Uint8Array, name = 'checkpoint'): TrainingState {
  const { tensors, metadata } = decodeSafetensors(bytes, name);
  const { format, version, progress = '' } = metadata;
  if (format !== formatName || version !== formatVersion) {
    throw new KindredError(
      'INVALID_ARGUMENT',
      `${name}: got format '${format ?? ''}' version '${version ?? ''}'; allowed: '${formatName}' version '${formatVersion}'`,
      { resource: { type: 'file', name } },
    );
  }
  const parameters: Record<string, Float32Array> = {};
  const momentum: Record<string, Float32Array> = {};
  for (const [key, { data }] of tensors) {
    if (!(data instanceof Float32Array)) throw damagedState(name, `tensor '${key}' is not float32`);
    if (key.startsWith(momentumPrefix)) momentum[key.slice(momentumPrefix.length)] = data;
    else parameters[key] = data;
  }
  return { parameters, momentum, epochsCompleted: epochsOf(progress, name) };
}

function epochsOf(progress: string, name: string): number {
  try {
    const { epochsCompleted } = JSON.parse(progress) as { epochsCompleted?: unknown };
    if (Number.isInteger(epochsCompleted)) return epochsCompleted as number;
  } catch {
    // Said below.
  }
  throw damagedState(name, `its progress is '${progress.slice(0, 100)}', without a number of epochs`);
}

function damagedState(name: string, problem: string): KindredError {
  return new KindredError('DATA_LOSS', `${name}: ${problem}`, { resource: { type: 'file', name } });
}

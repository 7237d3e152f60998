// The state of a run between two steps, as one safetensors file: parameters, momentum, where it stands, config and seed.
import { KindredError } from '@kindred/errors';
import { decodeSafetensors, encodeSafetensors, type Tensor } from '@kindred/formats';
import { modelSpecification, type Architecture, type StateDict } from '@kindred/simclr';
import type { Progress } from './progress.js';

/** All that a continued run needs. Equal runs give equal bytes: nothing in it is measured. */
export interface Checkpoint {
  readonly parameters: StateDict;
  readonly momentum: StateDict;
  readonly progress: Progress;
  /**
   * Key of all chance, a whole number of 64 bits as decimal text. Random numbers are functions of (seed, epoch, image, view), so
   * that together with the progress it is the whole state of the generator.
   */
  readonly seed: string;
  /** The experiment as canonical JSON: a checkpoint is only good for its own experiment. */
  readonly experiment: string;
}

const momentumPrefix = 'momentum/';
const version = '2';
const generator = 'philox4x32-10';

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
    version,
    // JSON writes a double with as many digits as it takes to read back the same bits.
    progress: JSON.stringify(checkpoint.progress),
    random: JSON.stringify({ generator, seed: checkpoint.seed }),
    experiment: checkpoint.experiment,
  });
}

/** Reads what {@link encodeCheckpoint} wrote. @throws KindredError DATA_LOSS for anything else. */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  const { tensors, metadata } = decodeSafetensors(bytes);
  if (metadata['format'] !== 'kindred-checkpoint' || metadata['version'] !== version) {
    const found = `'${metadata['format'] ?? ''}', version '${metadata['version'] ?? ''}'`;
    throw new KindredError('DATA_LOSS', `not a checkpoint of version ${version}: its format is ${found}`);
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
    progress: parse(metadata['progress']) as Progress,
    seed: (parse(metadata['random']) as { seed: string }).seed,
    experiment: metadata['experiment'] ?? '',
  };
}

function parse(json: string | undefined): unknown {
  try {
    return JSON.parse(json ?? '');
  } catch (thrown) {
    throw new KindredError('DATA_LOSS', 'checkpoint: its metadata is no JSON', { cause: thrown });
  }
}

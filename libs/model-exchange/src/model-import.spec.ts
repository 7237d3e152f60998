// Whole files: each format back to the same model, other formats refused by name.
import { encodeSafetensors, readPytorchCheckpoint, sgdFromStateDict, writePytorchFile } from '@kindred/formats';
import {
  createArchitecture,
  encodeModelFile,
  initialMomentum,
  initialParameters,
  modelSpecification,
  namedTensors,
} from '@kindred/simclr';
import { describe, expect, it } from 'vitest';
import { importModel, readTrainingState, toPytorchCheckpoint, toPytorchModel } from './index.js';

const architecture = createArchitecture({ width: 2, featureDim: 8 });
const parameters = initialParameters(architecture, 3);
// SCAN's configs/pretext/simclr_cifar10.yml.
const normalisation = { mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] };
const cropSize = 32;
const tensors = namedTensors(architecture, parameters);
const state = { parameters, momentum: initialMomentum(architecture), epochsCompleted: 7 };
const sgd = { lr: 0.25, momentum: 0.9, weightDecay: 1e-4, nesterov: false };

describe('importModel', () => {
  it.each<[string, Uint8Array]>([
    ['pytorch', toPytorchModel({ architecture, parameters })],
    ['pytorch', toPytorchCheckpoint(architecture, state, sgd)],
    ['pytorch', writePytorchFile(new Map([['state_dict', tensors]]))],
    ['safetensors', encodeSafetensors(tensors)],
  ])('reads %s', (format, bytes) => {
    const read = importModel(bytes, 'm.pth');
    expect(read).toMatchObject({ format, leftOut: [], model: { architecture, parameters, normalisation, cropSize } });
    expect(read.model.origin['imported_sha256']).toMatch(/^[0-9a-f]{64}$/);
  });

  it('takes a model file of our own as it is', () => {
    const model = {
      architecture,
      parameters,
      normalisation: { mean: [0, 0, 0], std: [1, 1, 1] },
      cropSize: 24,
      resizeSide: null,
      origin: { run: 'r' },
    };
    expect(importModel(encodeModelFile(model), 'm')).toEqual({ model, format: 'kindred', leftOut: [] });
  });

  it.each<[string, Uint8Array]>([
    ['a bare pickle', Uint8Array.of(0x80, 2, 0x7d, 0x2e)],
    ['nothing', new Uint8Array()],
    ['text', Buffer.from('hello, world')],
  ])('refuses %s', (_, bytes) => {
    expect(() => importModel(bytes, 'm')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error);
  });
});

describe('PyTorch checkpoints', () => {
  it('carry model, optimizer and epoch', () => {
    const { model, optimizer, epoch } = readPytorchCheckpoint(toPytorchCheckpoint(architecture, state, sgd));
    expect(epoch).toBe(7);
    expect([...model.keys()]).toEqual(modelSpecification(architecture).map(({ name }) => name));
    const { momentumBuffers, ...rest } = sgdFromStateDict(optimizer ?? null);
    expect(rest).toEqual(sgd);
    expect(momentumBuffers).toHaveLength(Object.keys(state.momentum).length);
    expect(readPytorchCheckpoint(toPytorchCheckpoint(architecture, state, null)).optimizer).toBeUndefined();
  });

  it('are made from the trainer’s own, of its version only', () => {
    const own = (version: string): Uint8Array =>
      encodeSafetensors(
        new Map(
          [...tensors].flatMap(([name, tensor]) => {
            const data = parameters[name] as Float32Array;
            return [
              [name, { ...tensor, dtype: 'F32', data } as const],
              [`momentum/${name}`, { ...tensor, dtype: 'F32', data } as const],
            ] as const;
          }),
        ),
        { format: 'kindred-checkpoint', version, progress: '{"epochsCompleted":7}' },
      );
    expect(readTrainingState(own('2'))).toEqual({ parameters, momentum: parameters, epochsCompleted: 7 });
    expect(() => readTrainingState(own('3'))).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error);
  });
});

// PyTorch checkpoints: one that torch.save wrote, ours read back, and pickles that want something run.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { goldenFolder, readGoldenJson } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import {
  readPytorchCheckpoint,
  readPytorchFile,
  sgdFromStateDict,
  sgdToStateDict,
  tensor,
  toFloat32,
  writePytorchCheckpoint,
  writePytorchFile,
} from './index.js';
import type { Tensor } from './index.js';
import { writeStoredZip } from './zip-archive.js';

interface Golden {
  epoch: number;
  model: Record<string, { dtype: string; shape: number[]; values: number[] }>;
}

const names: Record<string, string> = { F32: 'torch.float32', F16: 'torch.float16', I64: 'torch.int64' };
const golden = readGoldenJson<Golden>('checkpoint');
const file = readFileSync(join(goldenFolder(), 'checkpoint.pth.tar'));

/** A checkpoint with a pickle of the test's own, and one storage of six floats. */
function withPickle(...parts: (string | number[])[]): Uint8Array {
  const pickle = Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))),
  );
  return writeStoredZip([
    { name: 'x/data.pkl', data: pickle },
    { name: 'x/data/0', data: new Uint8Array(Float32Array.of(0, 1, 2, 3, 4, 5).buffer) },
  ]);
}

const text = (value: string): string => `X${String.fromCharCode(value.length)}\0\0\0${value}`;
const storage = `(${text('storage')}ctorch\nFloatStorage\n${text('0')}${text('cpu')}K\x06tQ`;
const rebuilt = (offset: number, shape: number[], strides: number[]): (string | number[])[] => {
  const tuple = (values: number[]): number[] => [0x28, ...values.flatMap((value) => [0x4b, value]), 0x74];
  return [
    '\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(',
    storage,
    [0x4b, offset],
    tuple(shape),
    tuple(strides),
    '\x89N',
    'tR.',
  ];
};

describe('reading', () => {
  it('finds every tensor of the golden checkpoint', () => {
    const { model, epoch } = readPytorchCheckpoint(file);
    expect(epoch).toBe(golden.epoch);
    expect([...model.keys()]).toEqual(Object.keys(golden.model));
    for (const [name, expected] of Object.entries(golden.model)) {
      const value = model.get(name)!;
      expect(names[value.dtype]).toBe(expected.dtype);
      expect(value.shape).toEqual(expected.shape);
      expect([...toFloat32(value)]).toEqual(expected.values);
    }
  });

  it('follows offset and strides', () => {
    const read = (...args: Parameters<typeof rebuilt>) => readPytorchFile(withPickle(...rebuilt(...args)));
    expect(read(0, [3, 2], [1, 3])).toEqual(tensor('F32', [3, 2], Float32Array.of(0, 3, 1, 4, 2, 5)));
    expect(read(4, [2], [1])).toEqual(tensor('F32', [2], Float32Array.of(4, 5)));
    expect(() => read(5, [2], [1])).toThrow(expect.objectContaining({ code: 'DATA_LOSS' }));
    expect(() => read(0, [255, 255, 255, 255], [0, 0, 0, 0])).toThrow(expect.objectContaining({ code: 'DATA_LOSS' }));
  });

  it.each([
    ['a class', ['\x80\x02cos\nsystem\n', text('true'), '\x85R.'], 'os.system'],
    ['an opcode', ['\x80\x02i'], '0x69'],
  ])('names %s that is not allowed, and runs nothing', (_name, parts, named) => {
    expect(() => readPytorchFile(withPickle(...parts))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(named) }),
    );
  });

  it('takes a bare state_dict with its _metadata attribute', () => {
    const bytes = withPickle('\x80\x02ccollections\nOrderedDict\n)R}', text('_metadata'), '}sb.');
    expect(readPytorchCheckpoint(bytes).model.size).toBe(0);
  });

  it('is DATA_LOSS for every way to cut the file short', () => {
    for (let length = 0; length < file.length; length += 13) {
      expect(() => readPytorchCheckpoint(file.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'DATA_LOSS' }),
      );
    }
  });
});

describe('writing', () => {
  const model = new Map<string, Tensor>([
    ['conv.weight', tensor('F32', [2, 1, 1, 1], Float32Array.of(1.5, -2))],
    ['bn.num_batches_tracked', tensor('I64', [], BigInt64Array.of(9n))],
  ]);

  it('gives back model, optimizer and epoch', () => {
    const sgd = {
      lr: 1,
      momentum: 0.9,
      weightDecay: 1e-4,
      nesterov: false,
      momentumBuffers: [tensor('F32', [1], Float32Array.of(3)), null],
    };
    const bytes = writePytorchCheckpoint({ model, optimizer: sgdToStateDict(sgd), epoch: 300 });
    const back = readPytorchCheckpoint(bytes);
    expect([...back.model]).toEqual([...model]);
    expect(back.epoch).toBe(300);
    expect(sgdFromStateDict(back.optimizer!)).toEqual(sgd);
    expect(writePytorchCheckpoint(back)).toEqual(writePytorchCheckpoint(back));
  });

  it('keeps every kind of value', () => {
    const value = new Map<string, null | boolean | number | bigint | string | number[]>([
      ['none', null],
      ['yes', true],
      ['small', 200],
      ['negative', -70000],
      ['large', 2 ** 40],
      ['larger', 2n ** 62n],
      ['real', 0.1],
      ['text', 'Grüße'],
      ['list', [1, 2.5]],
    ]);
    expect(readPytorchFile(writePytorchFile(value))).toEqual(value);
  });

  it('starts every storage at a multiple of 64 bytes', () => {
    const bytes = writePytorchCheckpoint({ model });
    for (const { data } of readPytorchCheckpoint(bytes).model.values()) {
      expect(data.buffer).toBe(bytes.buffer);
      expect(data.byteOffset % 64).toBe(0);
    }
  });
});

// Damaged files of every format: whatever the bytes, the outcome is a value or a KindredError, soon and in little memory.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isKindredError } from '@kindred/errors';
import { goldenFolder } from '@kindred/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeNpy,
  decodeSafetensors,
  encodeNpy,
  encodeSafetensors,
  readPytorchCheckpoint,
  readPytorchFile,
  tensor,
} from './index.js';
import { readPickle } from './pickle-reader.js';
import { readStoredZip, writeStoredZip } from './zip-archive.js';

const checkpoint = readFileSync(join(goldenFolder(), 'checkpoint.pth.tar'));
const pickle = [...readStoredZip(checkpoint)].find(([name]) => name.endsWith('data.pkl'))![1];
const samples: [string, Uint8Array, (bytes: Uint8Array) => unknown][] = [
  ['npy', encodeNpy(Float32Array.of(1, 2, 3, 4), [2, 2]), decodeNpy],
  [
    'safetensors',
    encodeSafetensors({ a: tensor('F32', [2], Float32Array.of(1, 2)), b: tensor('U8', [1], Uint8Array.of(1)) }),
    decodeSafetensors,
  ],
  ['checkpoint', checkpoint, readPytorchCheckpoint],
  [
    'pickle',
    pickle,
    (bytes) => readPickle(bytes, { allow: () => true, load: () => null, reduce: () => new Map() }, 'fuzz'),
  ],
  [
    'pickle in a checkpoint',
    pickle,
    (data) =>
      readPytorchFile(
        writeStoredZip([
          { name: 'x/data.pkl', data },
          { name: 'x/data/0', data: new Uint8Array(16) },
        ]),
      ),
  ],
];

function survives(read: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void {
  try {
    read(bytes);
  } catch (error) {
    if (!isKindredError(error)) throw error;
    expect(['DATA_LOSS', 'INVALID_ARGUMENT', 'RESOURCE_EXHAUSTED']).toContain(error.code);
  }
}

describe.each(samples)('%s', (_name, sample, read) => {
  const place = fc.nat(sample.length - 1);

  it('survives changed bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 6 }), (changes) => {
        const bytes = Uint8Array.from(sample);
        for (const [at, value] of changes) bytes[at] = value;
        survives(read, bytes);
      }),
      { numRuns: 1500 },
    );
  });

  it('survives cuts, repeats and noise', () => {
    fc.assert(
      fc.property(place, place, fc.uint8Array({ maxLength: 40 }), (from, to, noise) => {
        survives(read, sample.subarray(0, from));
        survives(read, Buffer.concat([sample.subarray(0, from), noise, sample.subarray(to)]));
        survives(read, noise);
      }),
      { numRuns: 500 },
    );
  });
});

describe('small files that ask for much', () => {
  const text = (value: string): Buffer => Buffer.from(`X${String.fromCharCode(value.length)}\0\0\0${value}`, 'latin1');
  const storageBytes = 8 * 2 ** 20;
  const fails = (read: () => unknown, code: string): void => {
    const before = process.memoryUsage().arrayBuffers;
    expect(read).toThrow(expect.objectContaining({ code }) as Error);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * storageBytes);
  };

  /** A checkpoint of one storage, misaligned in memory, and `count` tensors that each want all of it, with these strides. */
  const manyTensors = (count: number, stride: number): Uint8Array => {
    const elements = storageBytes / 4;
    const int = (value: number): Buffer => {
      const bytes = Buffer.alloc(5, 'J');
      bytes.writeInt32LE(value, 1);
      return bytes;
    };
    const operators = (codes: string): Buffer => Buffer.from(codes, 'latin1');
    const shape = stride === 1 ? [int(elements), operators('\x85')] : [int(elements / 2), operators('\x85')];
    const pickle = Buffer.concat([
      operators('\x80\x02]q\0ctorch._utils\n_rebuild_tensor_v2\nq\x01(('),
      ...[text('storage'), operators('ctorch\nFloatStorage\n'), text('0'), text('cpu'), int(elements), operators('tQ')],
      ...[int(0), ...shape, int(stride), operators('\x85\x89Ntq\x02h\0(')],
      operators('h\x01h\x02R'.repeat(count)),
      operators('e.'),
    ]);
    const file = writeStoredZip([
      { name: 'x/data.pkl', data: pickle },
      { name: 'x/data/0', data: new Uint8Array(storageBytes) },
    ]);
    const shifted = new Uint8Array(file.length + 1);
    shifted.set(file, 1);
    return shifted.subarray(1);
  };

  it('one storage for 20,000 tensors is kept once', () => {
    const before = process.memoryUsage().arrayBuffers;
    const tensors = readPytorchFile(manyTensors(20_000, 1));
    expect(tensors).toHaveLength(20_000);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * storageBytes);
  });

  it('strided copies end at twice the file', () => {
    fails(() => readPytorchFile(manyTensors(20_000, 2)), 'RESOURCE_EXHAUSTED');
  });

  it('two million empty dicts', () => {
    const data = Buffer.concat([Buffer.from([0x80, 2]), Buffer.alloc(2_000_000, '}'), Buffer.from('.')]);
    fails(() => readPytorchFile(writeStoredZip([{ name: 'x/data.pkl', data }])), 'RESOURCE_EXHAUSTED');
  });

  it('a thousand zip entries that share their bytes', () => {
    const names = Array.from({ length: 1000 }, (_, i) => `x/data/${i}`);
    const file = writeStoredZip([
      ...names.map((name) => ({ name, data: new Uint8Array() })),
      { name: 'x/data/last', data: new Uint8Array(storageBytes) },
    ]);
    const view = new DataView(file.buffer);
    const directory = view.getUint32(file.length - 22 + 16, true);
    // Each entry of the directory points to the one of the data.
    let at = directory;
    const step = (entry: number): number => entry + 46 + view.getUint16(entry + 28, true);
    for (let i = 0; i < names.length; i++) at = step(at);
    const shared = file.slice(at + 16, at + 28);
    const offset = view.getUint32(at + 42, true);
    for (let i = 0, entry = directory; i < names.length; i++, entry = step(entry)) {
      file.set(shared, entry + 16);
      view.setUint32(entry + 42, offset, true);
    }
    fails(() => readStoredZip(file), 'DATA_LOSS');
  });

  it('ten thousand safetensors that share their bytes', () => {
    const header = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, i) => [
        i,
        { dtype: 'F32', shape: [storageBytes / 4], data_offsets: [0, storageBytes] },
      ]),
    );
    const text = JSON.stringify(header);
    // Elements that start between two multiples of 4 can't be views.
    const json = Buffer.from(text.padEnd(text.length + ((9 - (text.length % 4)) % 4)));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    fails(() => decodeSafetensors(Buffer.concat([length, json, Buffer.alloc(storageBytes)])), 'DATA_LOSS');
  });
});

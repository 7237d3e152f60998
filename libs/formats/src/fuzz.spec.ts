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

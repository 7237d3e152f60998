// safetensors: the layout of the format's description, and headers that lie.
import { describe, expect, it } from 'vitest';
import { decodeSafetensors, encodeSafetensors, tensor } from './index.js';
import type { Tensor } from './index.js';

const tensors = new Map<string, Tensor>([
  ['bytes', tensor('U8', [3], Uint8Array.of(1, 2, 3))],
  ['weight', tensor('F32', [2, 2], Float32Array.of(1, 2, 3, 4.5))],
  ['steps', tensor('I64', [], BigInt64Array.of(7n))],
  ['half', tensor('F16', [1], Uint16Array.of(0x3c00))],
  ['empty', tensor('F64', [0, 3], new Float64Array())],
]);

function file(header: unknown, elements = 16): Uint8Array {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, Buffer.alloc(elements)]);
}

describe('safetensors', () => {
  it('gives back what was written, in order, as views', () => {
    const bytes = encodeSafetensors(tensors, { format: 'pt' });
    const back = decodeSafetensors(bytes);
    expect([...back.tensors]).toEqual([...tensors]);
    expect(back.metadata).toEqual({ format: 'pt' });
    expect(back.tensors.get('weight')?.data.buffer).toBe(bytes.buffer);
  });

  const entry = (more: object) => ({ a: { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16], ...more } });
  it.each([
    ['a hole at the start', entry({ data_offsets: [4, 16], shape: [3] })],
    ['a range past the end', entry({ data_offsets: [0, 32], shape: [8] })],
    ['a range backwards', entry({ data_offsets: [16, 0] })],
    ['a shape of another length', entry({ shape: [2, 3] })],
    ['an absurd shape', entry({ shape: [2 ** 40, 2 ** 40] })],
    ['an overlap', { ...entry({}), b: { dtype: 'U8', shape: [4], data_offsets: [8, 12] } }],
    ['bytes left over', entry({ shape: [2], data_offsets: [0, 8] })],
    ['metadata that is no text', { ...entry({}), __metadata__: { a: 1 } }],
    ['an entry that is null', { a: null }],
  ])('refuses %s', (_name, header) => {
    expect(() => decodeSafetensors(file(header))).toThrow(expect.objectContaining({ code: 'DATA_LOSS' }));
  });

  it('names a dtype that it does not know', () => {
    expect(() => decodeSafetensors(file(entry({ dtype: 'F8_E4M3' })))).toThrow(/F8_E4M3/);
  });

  it('refuses a header length of absurd size without allocating for it', () => {
    const bytes = new Uint8Array(16).fill(0xff);
    expect(() => decodeSafetensors(bytes)).toThrow(expect.objectContaining({ code: 'DATA_LOSS' }));
  });
});

// .npy against files that NumPy wrote.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { goldenFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { decodeNpy, decodeNpyAs, encodeNpy, encodeNpyHeader } from './index.js';

const golden = readdirSync(goldenFolder()).filter((name) => name.endsWith('.npy'));

describe('npy', () => {
  it.each(golden)('writes %s back byte for byte', (name) => {
    const file = readFileSync(join(goldenFolder(), name));
    const { data, shape } = decodeNpy(file, name);
    expect(Buffer.compare(Buffer.from(encodeNpy(data, shape)), file)).toBe(0);
  });

  it('writes the header of scalars and vectors as NumPy does', () => {
    const text = (shape: number[]): string =>
      Buffer.from(encodeNpyHeader('i8', shape)).toString('latin1', 10).trimEnd();
    expect(text([])).toBe("{'descr': '<i8', 'fortran_order': False, 'shape': (), }");
    expect(text([5])).toBe("{'descr': '<i8', 'fortran_order': False, 'shape': (5,), }");
    expect(encodeNpyHeader('f4', [1, 2, 3]).length % 64).toBe(0);
  });

  it('reads from memory that is not aligned', () => {
    const file = encodeNpy(Float64Array.of(1.5, -2), [2]);
    const shifted = new Uint8Array(file.length + 3);
    shifted.set(file, 3);
    expect(decodeNpyAs(shifted.subarray(3), 'f8').data).toEqual(Float64Array.of(1.5, -2));
  });

  it('refuses Fortran order, other dtypes and wrong lengths', () => {
    const file = encodeNpy(Int32Array.of(1, 2, 3, 4), [2, 2]);
    const changed = (from: string, to: string): Buffer =>
      Buffer.from(Buffer.from(file).toString('latin1').replace(from, to), 'latin1');
    expect(() => decodeNpy(changed('False', 'True '))).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(() => decodeNpy(changed('<i4', '>i4'))).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(() => decodeNpy(file.subarray(0, file.length - 1))).toThrow(expect.objectContaining({ code: 'DATA_LOSS' }));
    expect(() => decodeNpyAs(file, 'f4')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(() => encodeNpy(Int32Array.of(1), [2])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

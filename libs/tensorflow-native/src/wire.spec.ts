// The wire format against the examples of its specification (protobuf.dev, "Encoding").
import { describe, expect, it } from 'vitest';
import { bytesField, concat, floatField, varintField } from './wire.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('the wire format', () => {
  it('has the specification’s examples', () => {
    expect(hex(varintField(1, 150))).toBe('089601');
    expect(hex(bytesField(2, 'testing'))).toBe('120774657374696e67');
    expect(hex(bytesField(3, varintField(1, 150)))).toBe('1a03089601');
  });

  it('writes negative numbers in ten bytes and floats in four', () => {
    expect(hex(varintField(1, -2))).toBe('08feffffffffffffffff01');
    expect(hex(floatField(4, 1.5))).toBe('250000c03f');
    expect(hex(concat([varintField(1, 0), varintField(2, 1)]))).toBe('08001001');
  });
});

// The wire format against the examples of its specification (protobuf.dev, "Encoding").
import { describe, expect, it } from 'vitest';
import { encodeMessage } from './message-writer.js';

const hex = (...args: Parameters<typeof encodeMessage>): string => Buffer.from(encodeMessage(...args)).toString('hex');

describe('messages', () => {
  it('are the specification’s examples', () => {
    expect(hex((message) => message.whole(1, 150))).toBe('089601');
    expect(hex((message) => message.text(2, 'testing'))).toBe('120774657374696e67');
    expect(hex((message) => message.message(3, (inner) => inner.whole(1, 150)))).toBe('1a03089601');
  });

  it('hold negative numbers in ten bytes, floats in four, and messages without fields', () => {
    expect(hex((message) => message.whole(1, -2))).toBe('08feffffffffffffffff01');
    expect(hex((message) => message.float(4, 1.5))).toBe('250000c03f');
    expect(hex((message) => message.bytes(1, Uint8Array.of(7, 8)))).toBe('0a020708');
    expect(hex((message) => message.message(2, () => {}))).toBe('1200');
  });
});

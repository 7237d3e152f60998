// Statuses out of header blocks, whole and broken. What a server really sends is in `call-load.spec.ts`.
import { describe, expect, it } from 'vitest';
import { grpcStatus } from './header-block.js';

const name = Buffer.from('grpc-status');
/** The same in the code of RFC 7541, appendix B, as nghttp2 writes it. */
const huffmanName = Buffer.from('9acac8b21234da8f', 'hex');
const field = (first: number, bytes: Buffer, value: Buffer): Buffer =>
  Buffer.concat([Buffer.of(first, bytes.length), bytes, Buffer.of(value.length), value]);
const huffman = (bytes: Buffer, value: Buffer): Buffer =>
  Buffer.concat([Buffer.of(0, 0x80 | bytes.length), bytes, Buffer.of(0x80 | value.length), value]);
/** `:status: 200`, then a `content-type` by its static name. */
const before = Buffer.concat([Buffer.of(0x88, 0x0f, 0x10, 16), Buffer.from('application/grpc')]);

describe('grpcStatus', () => {
  it('finds the status among other fields, plain or in Huffman’s code, with each kind of literal', () => {
    const after = field(0, Buffer.from('grpc-message'), Buffer.from('grpc-status'));
    for (const first of [0x00, 0x10, 0x40]) {
      expect(grpcStatus(Buffer.concat([before, field(first, name, Buffer.from('8')), after]))).toBe(8);
    }
    // 1 is 00001, 4 is 011010, filled up with ones.
    expect(grpcStatus(huffman(huffmanName, Buffer.of(0b00001_011, 0b010_11111)))).toBe(14);
    // A table of size 0 is told first.
    expect(grpcStatus(Buffer.concat([Buffer.of(0x20), field(0, name, Buffer.from('0'))]))).toBe(0);
  });

  it('is null for a block without one', () => {
    expect(grpcStatus(before)).toBeNull();
    expect(grpcStatus(field(0, Buffer.from('grpc-statuz'), Buffer.from('0')))).toBeNull();
    expect(grpcStatus(Buffer.alloc(0))).toBeNull();
  });

  it('is NaN for blocks that cannot be read', () => {
    const whole = field(0, name, Buffer.from('0'));
    for (let length = 1; length < whole.length; length++) {
      expect(grpcStatus(whole.subarray(0, length)), `${length} bytes`).toBeNaN();
    }
    // An entry of a table that there is not; a table of a size; words for a number.
    expect(grpcStatus(Buffer.of(0xbe))).toBeNaN();
    expect(grpcStatus(Buffer.of(0x21))).toBeNaN();
    expect(grpcStatus(field(0, name, Buffer.from('OK')))).toBeNaN();
    expect(grpcStatus(Buffer.alloc(9, 0xff))).toBeNaN();
  });
});

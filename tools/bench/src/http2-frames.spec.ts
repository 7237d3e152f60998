// Frames in pieces, and header blocks with what may lie around them.
import { describe, expect, it } from 'vitest';
import {
  flag,
  frame,
  frameReader,
  frameType,
  headerBlock,
  numberFrame,
  settingsFrame,
  type Frame,
} from './http2-frames.js';

const read = (pieces: readonly Buffer[]): Frame[] => {
  const frames: Frame[] = [];
  const reader = frameReader((got) => frames.push({ ...got, payload: Buffer.from(got.payload) }));
  // The same memory for each piece, as a socket reads.
  const memory = Buffer.alloc(1000);
  for (const piece of pieces) reader(memory.subarray(0, piece.copy(memory)));
  return frames;
};

describe('frameReader', () => {
  const sent = Buffer.concat([
    frame(frameType.data, flag.endStream, 3, Buffer.from('hello')),
    frame(frameType.ping, flag.ack, 0, Buffer.alloc(8, 7)),
    numberFrame(frameType.windowUpdate, 5, 70_000),
    settingsFrame([[4, 2 ** 31 - 1]]),
    frame(frameType.settings, flag.ack, 0, Buffer.alloc(0)),
  ]);

  it('gives the same frames wherever the bytes are cut', () => {
    const whole = read([sent]);
    expect(whole.map(({ type, flags, stream }) => [type, flags, stream])).toEqual([
      [0, 1, 3],
      [6, 1, 0],
      [8, 0, 5],
      [4, 0, 0],
      [4, 1, 0],
    ]);
    expect(whole[0]?.payload.toString()).toBe('hello');
    expect(whole[2]?.payload.readUInt32BE()).toBe(70_000);
    expect(whole[3]?.payload.toString('hex')).toBe('00047fffffff');
    for (let cut = 1; cut < sent.length; cut++) {
      expect(read([sent.subarray(0, cut), sent.subarray(cut)])).toEqual(whole);
    }
    expect(read([...sent].map((byte) => Buffer.of(byte)))).toEqual(whole);
  });
});

describe('headerBlock', () => {
  const headers = (flags: number, ...payload: number[]): Frame => ({
    ...{ type: frameType.headers, flags, stream: 1 },
    payload: Buffer.from(payload),
  });

  it('leaves padding and priority out', () => {
    expect([...headerBlock(headers(0, 1, 2))]).toEqual([1, 2]);
    expect([...headerBlock(headers(flag.padded, 3, 1, 2, 0, 0, 0))]).toEqual([1, 2]);
    expect([...headerBlock(headers(flag.priority, 0, 0, 0, 0, 9, 1, 2))]).toEqual([1, 2]);
    expect([...headerBlock(headers(flag.padded | flag.priority, 1, 0, 0, 0, 0, 9, 1, 2, 0))]).toEqual([1, 2]);
    expect([...headerBlock(headers(flag.padded, 9, 1))]).toEqual([]);
  });
});

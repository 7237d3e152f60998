// Event files against RFC 3720's checksums, bytes that TensorFlow's own writer made, and by the round trip.
import { describe, expect, it } from 'vitest';
import { crc32c } from './crc32c.js';
import { decodeEventFile, encodeEventFile } from './event-file.js';
import { decodeTfRecords, encodeTfRecords } from './tfrecord.js';

describe('crc32c', () => {
  // RFC 3720, appendix B.4, and the check value of the CRC catalogues.
  it.each([
    ['32 bytes of zeros', new Uint8Array(32), 0x8a9136aa],
    ['32 bytes of ones', new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ['32 incrementing bytes', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ['32 decrementing bytes', Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
    ['the digits', new TextEncoder().encode('123456789'), 0xe3069283],
    ['nothing', new Uint8Array(0), 0],
  ])('of %s', (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });
});

describe('event files', () => {
  const scalars = [
    { tag: 'loss/step', step: 10, timeMs: 1_700_000_000_250, value: 5.5 },
    { tag: 'knn/top1', step: 0, timeMs: 1_700_000_001_000, value: 12.25 },
    { tag: 'ümlaut', step: 2 ** 40, timeMs: 1_700_000_002_000, value: -0.5 },
  ];

  it('are the bytes that TensorBoard’s own writer makes', () => {
    // tensorboard 2.21: RecordWriter of Event(wall_time=1700000000.25, file_version='brain.Event:2') and of
    // Event(wall_time=1700000000.25, step=10, summary=Summary(value=[Summary.Value(tag='loss/step', simple_value=5.5)])).
    expect(Buffer.from(encodeEventFile(scalars.slice(0, 1))).toString('hex')).toBe(
      '1800000000000000a37f4b220900001040fc54d9411a0d627261696e2e4576656e743a32338d2fe91f00000000000000514b44180900001040fc54d941100a2a120a100a096c6f73732f73746570150000b040d858d14e',
    );
  });

  it('come back as they were written', () => {
    expect(decodeEventFile(encodeEventFile(scalars))).toEqual(scalars);
    expect(decodeEventFile(encodeEventFile([]))).toEqual([]);
  });

  it('hold numbers beyond float32 and no numbers at all', () => {
    const values = [1e300, -Infinity, NaN].map((value, step) => ({ tag: 'x', step, timeMs: 0, value }));
    expect(decodeEventFile(encodeEventFile(values)).map(({ value }) => value)).toEqual([Infinity, -Infinity, NaN]);
  });

  it('are refused when altered, cut short, or something else', () => {
    const bytes = encodeEventFile(scalars);
    for (let at = 0; at < bytes.length; at += 7) {
      const altered = bytes.slice();
      altered[at] = (altered[at] ?? 0) ^ 0x10;
      expect(() => decodeEventFile(altered)).toThrow(expect.objectContaining({ code: 'DATA_LOSS' }));
    }
    for (const length of [5, 20, bytes.length - 1]) {
      expect(() => decodeTfRecords(bytes.subarray(0, length))).toThrow(expect.objectContaining({ code: 'DATA_LOSS' }));
    }
    expect(() => decodeEventFile(encodeTfRecords([new Uint8Array(0)]))).toThrow(/version/);
  });
});

// Streams of random numbers, each named by what it is for: (seed, epoch, image index, view).
import { invalidField } from '@kindred/errors';
import { philox4x32 } from './philox.js';

const wordLimit = 2 ** 32;
const viewLimit = 2 ** 24;

/** What a stream's numbers are for; streams of different purposes never share a number. */
export const streamPurposes = { view: 0, shuffle: 1 } as const;

/** One of {@link streamPurposes}, as its number. */
export type StreamPurpose = (typeof streamPurposes)[keyof typeof streamPurposes];

/** The coordinates that name a stream. Equal keys give equal numbers, on any machine, thread or replica. */
export interface StreamKey {
  /** Seed of the run: a bigint in [0, 2^64), or a number that is an integer in [0, 2^53). */
  readonly seed: bigint | number;
  /** Epoch, an integer in [0, 2^32). */
  readonly epoch: number;
  /** Position of the image in its dataset, an integer in [0, 2^32). */
  readonly imageIndex: number;
  /** View of that image, an integer in [0, 2^24). */
  readonly view: number;
}

/** An endless sequence of random numbers; each call takes the next ones. */
export interface RandomStream {
  /** An integer uniform in [0, 2^32). */
  word(): number;
  /** A double uniform in [0, 1), with 53 random bits. */
  uniform(): number;
  /** A double uniform in [low, high); `low` itself when both are equal. */
  uniformIn(low: number, high: number): number;
  /** An integer uniform in [0, n), without modulo bias; `n` in [1, 2^32]. */
  integerBelow(n: number): number;
  /** Writes a uniformly random permutation of 0..out.length-1 into `out` (Fisher-Yates) and returns it. */
  permutation<T extends number[] | Uint32Array>(out: T): T;
  /** Starts the stream of another key, as {@link createStream} would, without allocating. */
  restart(key: StreamKey, purpose?: StreamPurpose): void;
}

/**
 * Opens the stream of a key. The seed is Philox's key; epoch, image, view and purpose are words of its counter and the
 * last word counts blocks, so that no two streams overlap before 2^34 numbers.
 * @throws KindredError INVALID_ARGUMENT that names the coordinate out of range
 */
export function createStream(key: StreamKey, purpose: StreamPurpose = streamPurposes.view): RandomStream {
  const stream = new PhiloxStream();
  stream.restart(key, purpose);
  return stream;
}

class PhiloxStream implements RandomStream {
  private readonly counter = new Uint32Array(4);
  private readonly block = new Uint32Array(4);
  private key0 = 0;
  private key1 = 0;
  private used = 4;

  restart(key: StreamKey, purpose: StreamPurpose = streamPurposes.view): void {
    this.setSeed(key.seed);
    this.counter[0] = 0;
    this.counter[1] = checkedWord('image_index', key.imageIndex, wordLimit);
    this.counter[2] = checkedWord('epoch', key.epoch, wordLimit);
    this.counter[3] = purpose * viewLimit + checkedWord('view', key.view, viewLimit);
    this.used = 4;
  }

  word(): number {
    if (this.used === 4) {
      philox4x32(this.counter, this.key0, this.key1, this.block);
      this.counter[0]!++;
      this.used = 0;
    }
    return this.block[this.used++]!;
  }

  uniform(): number {
    const high = this.word() >>> 5;
    const low = this.word() >>> 6;
    return (high * 2 ** 26 + low) * 2 ** -53;
  }

  uniformIn(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  integerBelow(n: number): number {
    // Words at or above the largest multiple of n are drawn again: what is left divides evenly.
    const limit = wordLimit - (wordLimit % n);
    let word = this.word();
    while (word >= limit) word = this.word();
    return word % n;
  }

  permutation<T extends number[] | Uint32Array>(out: T): T {
    for (let i = 0; i < out.length; i++) {
      const j = this.integerBelow(i + 1);
      out[i] = out[j]!;
      out[j] = i;
    }
    return out;
  }

  private setSeed(seed: bigint | number): void {
    if (typeof seed === 'bigint') {
      if (seed < 0n || seed >= 1n << 64n) throw seedError(seed);
      this.key0 = Number(seed & 0xffffffffn);
      this.key1 = Number(seed >> 32n);
      return;
    }
    if (!Number.isSafeInteger(seed) || seed < 0) throw seedError(seed);
    this.key0 = seed >>> 0;
    this.key1 = Math.floor(seed / wordLimit);
  }
}

function checkedWord(field: string, value: number, limit: number): number {
  if (Number.isInteger(value) && value >= 0 && value < limit) return value;
  throw invalidField(field, `got ${value}; allowed: an integer from 0 to ${limit - 1}`);
}

function seedError(seed: bigint | number): Error {
  return invalidField('seed', `got ${seed}; allowed: an integer from 0 to 2^53 - 1, or a bigint from 0 to 2^64 - 1`);
}

import { isKindredError } from '@kindred/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { philox4x32 } from './philox.js';
import { createStream, streamPurposes, type StreamKey } from './random-stream.js';

const key: StreamKey = { seed: 42, epoch: 3, imageIndex: 7, view: 1 };
const take = (k: StreamKey, count: number) => {
  const stream = createStream(k);
  return Array.from({ length: count }, () => stream.word());
};

describe('createStream', () => {
  it('is Philox with the seed as key and the coordinates in the counter', () => {
    const seed = 0x0123456789abcdefn;
    const block = new Uint32Array(4);
    const expected = [0, 1].flatMap((number) => {
      philox4x32(Uint32Array.of(number, 7, 3, 1), 0x89abcdef, 0x01234567, block);
      return [...block];
    });
    expect(take({ ...key, seed }, 8)).toEqual(expected);
  });

  it('gives a number and a bigint of the same value the same stream', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (seed) => {
        expect(take({ ...key, seed }, 4)).toEqual(take({ ...key, seed: BigInt(seed) }, 4));
      }),
    );
  });

  it('gives each coordinate and purpose a stream of its own', () => {
    const firsts = [
      take(key, 2),
      take({ ...key, seed: 43 }, 2),
      take({ ...key, seed: 42n + (1n << 32n) }, 2),
      take({ ...key, epoch: 4 }, 2),
      take({ ...key, imageIndex: 8 }, 2),
      take({ ...key, view: 0 }, 2),
      [createStream(key, streamPurposes.shuffle).word(), 0],
    ].map(([first]) => first);
    expect(new Set(firsts).size).toBe(firsts.length);
  });

  it('restarts as if new', () => {
    const stream = createStream(key);
    for (let i = 0; i < 5; i++) stream.word();
    stream.restart({ ...key, view: 0 });
    expect([stream.word(), stream.word()]).toEqual(take({ ...key, view: 0 }, 2));
  });

  it.each([
    ['seed', { seed: -1 }],
    ['seed', { seed: 2 ** 53 }],
    ['seed', { seed: 1n << 64n }],
    ['epoch', { epoch: 0.5 }],
    ['image_index', { imageIndex: 2 ** 32 }],
    ['view', { view: 2 ** 24 }],
  ])('names %s when it is out of range', (field, change) => {
    let thrown: unknown;
    try {
      createStream({ ...key, ...change });
    } catch (error) {
      thrown = error;
    }
    expect(isKindredError(thrown, 'INVALID_ARGUMENT') && thrown.violations[0]?.field).toBe(field);
  });
});

describe('RandomStream', () => {
  it('is uniform in [0, 1): mean, variance and tenths', () => {
    const stream = createStream(key);
    const draws = Array.from({ length: 100_000 }, () => stream.uniform());
    const mean = draws.reduce((a, b) => a + b) / draws.length;
    const variance = draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length;
    expect(Math.min(...draws.slice(0, 50_000))).toBeGreaterThanOrEqual(0);
    expect(Math.max(...draws.slice(0, 50_000))).toBeLessThan(1);
    // Five standard errors of each estimate.
    expect(Math.abs(mean - 1 / 2)).toBeLessThan(0.0046);
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(0.0012);
    const tenths = new Array<number>(10).fill(0);
    for (const draw of draws) tenths[Math.floor(draw * 10)]!++;
    for (const count of tenths) expect(Math.abs(count - 10_000)).toBeLessThan(475);
  });

  it('keeps to its range and reaches every integer', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(), (n, seed) => {
        const stream = createStream({ ...key, seed });
        const seen = new Set(Array.from({ length: n * 30 }, () => stream.integerBelow(n)));
        expect(Math.min(...seen)).toBe(0);
        expect(Math.max(...seen)).toBe(n - 1);
        const x = stream.uniformIn(-n, n);
        expect(x).toBeGreaterThanOrEqual(-n);
        expect(x).toBeLessThan(n);
      }),
      { numRuns: 50, seed: 1 },
    );
    expect(createStream(key).integerBelow(2 ** 32)).toBe(createStream(key).word());
  });

  it('has no modulo bias where it would be plainest', () => {
    // A bare remainder would make the lowest third of 3 · 2^30 integers come up half of the time.
    const stream = createStream(key);
    let low = 0;
    for (let i = 0; i < 10_000; i++) if (stream.integerBelow(3 * 2 ** 30) < 2 ** 30) low++;
    expect(Math.abs(low / 10_000 - 1 / 3)).toBeLessThan(0.025);
  });

  it('draws all 24 orders of four equally often', () => {
    const stream = createStream(key);
    const counts = new Map<string, number>();
    for (let i = 0; i < 24_000; i++) {
      const order = stream.permutation([0, 0, 0, 0]).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(160);
  });
});

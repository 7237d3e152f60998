// Pillow's fixed-point weights of an antialiased bilinear resize along one axis, kept by (from, to).

/** Fraction bits of Pillow's 8-bit resampling: 32 - 8 bits of a pixel - 2 bits of head room. */
export const precisionBits = 22;

const cacheLimitBytes = 16 * 2 ** 20;

/** How each output position along one axis is made from input positions. */
export interface ResizeCoefficients {
  /** Weights kept for each output position; those past `counts` are 0. */
  readonly taps: number;
  /** First input position, by output position. */
  readonly starts: Int32Array;
  /** Number of input positions used, by output position. */
  readonly counts: Int32Array;
  /** `[outputs, taps]`, in units of 2^-22; never negative for this filter. */
  readonly weights: Int32Array;
}

const cache = new Map<number, ResizeCoefficients>();
let cachedBytes = 0;

/**
 * The weights that resize `from` pixels to `to` pixels (both in [1, 2^20]). Calls with the same lengths share one table;
 * tables are dropped when they pass 16 MiB together.
 */
export function resizeCoefficients(from: number, to: number): ResizeCoefficients {
  const key = from * 2 ** 21 + to;
  const known = cache.get(key);
  if (known !== undefined) return known;
  const made = computeCoefficients(from, to);
  const bytes = made.weights.byteLength + made.starts.byteLength + made.counts.byteLength;
  if (cachedBytes + bytes > cacheLimitBytes) {
    cache.clear();
    cachedBytes = 0;
  }
  cache.set(key, made);
  cachedBytes += bytes;
  return made;
}

function computeCoefficients(from: number, to: number): ResizeCoefficients {
  const scale = from / to;
  const support = Math.max(scale, 1);
  const inverse = 1 / support;
  const taps = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(to);
  const counts = new Int32Array(to);
  const weights = new Int32Array(to * taps);
  const real = new Float64Array(taps);
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - support + 0.5), 0);
    const count = Math.min(Math.trunc(centre + support + 0.5), from) - start;
    let total = 0;
    for (let k = 0; k < count; k++) {
      real[k] = triangle((k + start - centre + 0.5) * inverse);
      total += real[k]!;
    }
    for (let k = 0; k < count; k++) {
      const weight = total === 0 ? real[k]! : real[k]! / total;
      weights[i * taps + k] = Math.trunc(0.5 + weight * 2 ** precisionBits);
    }
    starts[i] = start;
    counts[i] = count;
  }
  return { taps, starts, counts, weights };
}

function triangle(x: number): number {
  const distance = Math.abs(x);
  return distance < 1 ? 1 - distance : 0;
}

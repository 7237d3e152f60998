// Random numbers for drawn images: a hash of (seed, stream, image, counter), so that each image is drawn alone and always the same.

/** A stream of random numbers that belongs to one image. */
export interface ImageRandom {
  /** A number in [low, high). */
  between(low: number, high: number): number;
  /** A whole number in 0 … count - 1. */
  below(count: number): number;
}

/** The stream of image `index` in stream `stream` of `seed`. */
export function imageRandom(seed: number, stream: number, index: number): ImageRandom {
  const key = mix(mix(mix(seed | 0) ^ stream) ^ index);
  let counter = 0;
  const next = (): number => mix(key ^ Math.imul(++counter, 0x9e3779b9)) / 4294967296;
  return {
    between: (low, high) => low + (high - low) * next(),
    below: (count) => Math.floor(next() * count),
  };
}

/** A number in [0, 1) for a point of a grid. */
export function gridRandom(key: number, x: number, y: number): number {
  return mix(key ^ Math.imul(x, 0x27d4eb2f) ^ Math.imul(y, 0x165667b1)) / 4294967296;
}

/** The 32-bit finalizer of MurmurHash3 (Appleby). */
function mix(value: number): number {
  let hash = (value + 0x6d2b79f5) | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

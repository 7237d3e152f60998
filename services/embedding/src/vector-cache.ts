// Vectors by the content of their image, up to a number of bytes; the longest unused leave.
import { createHash } from 'node:crypto';

/** A cache of vectors. */
export interface VectorCache {
  /** Whether it holds anything at all. */
  readonly enabled: boolean;
  /** The vector of `key`; null where it is not held. It must not be changed. */
  get(key: string): Float32Array | null;
  /** Holds a copy of `vector`. */
  put(key: string, vector: Float32Array): void;
  /** Bytes held. */
  bytes(): number;
}

/** Bytes that an entry takes beside its vector: key, map entry, array object; an allowance. */
const entryBytes = 300;

/** Makes a cache of at most `maxBytes`; 0: nothing is held. */
export function createVectorCache(maxBytes: number): VectorCache {
  // Insertion order is the order of last use.
  const vectors = new Map<string, Float32Array>();
  let bytes = 0;
  const drop = (key: string): void => {
    bytes -= entryBytes + (vectors.get(key)?.byteLength ?? 0);
    vectors.delete(key);
  };
  return {
    enabled: maxBytes > 0,
    get(key) {
      const vector = vectors.get(key);
      if (vector === undefined) return null;
      vectors.delete(key);
      vectors.set(key, vector);
      return vector;
    },
    put(key, vector) {
      if (vectors.has(key)) drop(key);
      if (entryBytes + vector.byteLength > maxBytes) return;
      vectors.set(key, vector.slice());
      bytes += entryBytes + vector.byteLength;
      for (const oldest of vectors.keys()) {
        if (bytes <= maxBytes) return;
        drop(oldest);
      }
    },
    bytes: () => bytes,
  };
}

/** The keys of an image's vectors, one a kind: what was asked of which model's content, and the SHA-256 of the image's bytes. */
export function vectorKeys(modelSha256: string, kinds: readonly string[], form: string, image: Uint8Array): string[] {
  const hash = createHash('sha256').update(image).digest('base64');
  return kinds.map((kind) => `${modelSha256} ${kind} ${form} ${hash}`);
}

// A store in memory that keeps the artifact store's contract, with a turn of the event loop at each call; for specs.
import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { KindredError, notFound } from '@kindred/errors';

/** What a store knows of one object. */
export interface MemoryObject {
  readonly key: string;
  readonly size: number;
  readonly modifyTime: Date;
  readonly etag: string;
  readonly sha256: string;
}

/** A part of the artifact store's interface, and how a spec reaches below it. */
export interface MemoryStore {
  put(
    key: string,
    content: Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options?: { readonly ifAbsent?: boolean; readonly ifMatch?: string; readonly sha256?: string },
  ): Promise<{ readonly sha256: string; readonly size: number; readonly etag: string }>;
  get(key: string, sha256?: string): Promise<Uint8Array>;
  read(key: string): AsyncIterable<Uint8Array>;
  describe(key: string): Promise<MemoryObject | null>;
  list(prefix: string): AsyncIterable<MemoryObject>;
  delete(key: string, options?: { readonly ifMatch?: string }): Promise<void>;
  /** Changes bytes as a failing disk does: nothing else of the object changes. */
  damage(key: string): void;
  /** Sets when an object was written. */
  age(key: string, modifyTime: Date): void;
  keys(): string[];
}

/** Makes an empty store. */
export function createMemoryStore(): MemoryStore {
  const objects = new Map<string, { bytes: Uint8Array; etag: string; sha256: string; modifyTime: Date }>();
  let puts = 0;
  const found = (key: string) => {
    const object = objects.get(key);
    if (object === undefined) throw notFound('artifact', key);
    return object;
  };
  const described = (key: string): MemoryObject => {
    const { bytes, etag, sha256, modifyTime } = found(key);
    return { key, size: bytes.length, modifyTime, etag, sha256 };
  };
  return {
    async put(key, content, options = {}) {
      await nextTurn();
      const parts: Uint8Array[] = [];
      for await (const part of content instanceof Uint8Array ? [content] : content) parts.push(part);
      const bytes = Uint8Array.from(Buffer.concat(parts));
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      if (options.ifAbsent === true && objects.has(key)) throw new KindredError('ALREADY_EXISTS', key);
      if (options.ifMatch !== undefined && objects.get(key)?.etag !== options.ifMatch)
        throw new KindredError('ABORTED', key);
      const etag = `etag-${puts++}`;
      objects.set(key, { bytes, sha256, etag, modifyTime: new Date() });
      return { sha256, size: bytes.length, etag };
    },
    async get(key, sha256) {
      await nextTurn();
      const { bytes } = found(key);
      if (sha256 !== undefined && createHash('sha256').update(bytes).digest('hex') !== sha256)
        throw new KindredError('DATA_LOSS', key);
      return bytes;
    },
    async *read(key) {
      await nextTurn();
      yield found(key).bytes;
    },
    async describe(key) {
      await nextTurn();
      return objects.has(key) ? described(key) : null;
    },
    async *list(prefix) {
      await nextTurn();
      for (const key of [...objects.keys()].sort()) if (key.startsWith(prefix)) yield described(key);
    },
    async delete(key, options = {}) {
      await nextTurn();
      if (options.ifMatch !== undefined && objects.has(key) && objects.get(key)?.etag !== options.ifMatch)
        throw new KindredError('ABORTED', key);
      objects.delete(key);
    },
    damage(key) {
      const object = found(key);
      object.bytes = Uint8Array.from(object.bytes, (byte, i) => (i === 0 ? byte ^ 1 : byte));
    },
    age(key, modifyTime) {
      found(key).modifyTime = modifyTime;
    },
    keys: () => [...objects.keys()].sort(),
  };
}

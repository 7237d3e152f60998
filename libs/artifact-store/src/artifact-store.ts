// The interface of artifact stores: objects by key, visible whole or not at all.

/** What a store knows of one object. */
export interface ArtifactDescription {
  /** Slash-separated path, e.g. `runs/r1/model.safetensors`. */
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** When it was last written. */
  readonly modifyTime: Date;
}

/** What was written. */
export interface PutResult {
  /** SHA-256 of the content, lower-case hexadecimal. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

/** Content for {@link ArtifactStore.put}: bytes, or parts of any size one after another. */
export type ArtifactContent = Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Options of {@link ArtifactStore.put}. */
export interface PutOptions {
  /** Refuse to replace an object (ALREADY_EXISTS). @default false */
  readonly ifAbsent?: boolean;
}

/**
 * Objects by key. A key is one or more segments of letters, digits, `.`, `_`, `-`, `=` joined by `/`; no segment is `.`
 * or `..` (INVALID_ARGUMENT otherwise). Readers see an object as it was before a put or after it, never in between; a
 * put that has returned survives a crash.
 */
export interface ArtifactStore {
  /**
   * Writes an object. RESOURCE_EXHAUSTED, with the store's place as its resource, when there is no space; the object
   * before it then stays whole.
   */
  put(key: string, content: ArtifactContent, options?: PutOptions): Promise<PutResult>;
  /** Reads an object whole. NOT_FOUND if absent. With `sha256`, DATA_LOSS when the content has another hash. */
  get(key: string, sha256?: string): Promise<Uint8Array>;
  /** Reads an object as a stream of parts. NOT_FOUND if absent. */
  read(key: string): AsyncIterable<Uint8Array>;
  /** Describes an object; null if absent. */
  describe(key: string): Promise<ArtifactDescription | null>;
  /** Yields the objects whose key starts with `prefix`, by key. */
  list(prefix: string): AsyncIterable<ArtifactDescription>;
  /** Deletes an object; absent is no error. */
  delete(key: string): Promise<void>;
}

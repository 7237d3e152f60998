// The interface of artifact stores: objects by key, visible whole or not at all.

/** What a store knows of one object. */
export interface ArtifactDescription {
  /** Slash-separated path, e.g. `runs/r1/model.safetensors`. */
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** When it was last written. */
  readonly modifyTime: Date;
  /** Opaque name of the key's content now, for `ifMatch`: another after a put of other content (of the same, perhaps too). */
  readonly etag: string;
  /** SHA-256 of the content, lower-case hexadecimal, where the store has kept it; null otherwise, and always in a list. */
  readonly sha256: string | null;
}

/** What was written. */
export interface PutResult {
  /** SHA-256 of the content, lower-case hexadecimal. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
  /** As in {@link ArtifactDescription}. */
  readonly etag: string;
}

/**
 * Content for {@link ArtifactStore.put}: bytes, or parts of any size one after another. The memory of a part may be used
 * again once the next one is asked for.
 */
export type ArtifactContent = Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Options of {@link ArtifactStore.put}; `ifAbsent` and `ifMatch` exclude each other. */
export interface PutOptions {
  /** Refuse to replace an object (ALREADY_EXISTS). @default false */
  readonly ifAbsent?: boolean;
  /**
   * Replace only the object that has this etag (ABORTED when it has another, or is gone). Of several that replace the
   * same object by its etag, one succeeds. Keys changed so are to be changed by nothing else.
   */
  readonly ifMatch?: string;
  /** SHA-256 that the content must have (DATA_LOSS, with nothing written, otherwise). */
  readonly sha256?: string;
}

/** Options of reads. `sha256` goes with whole objects only. */
export interface ReadOptions {
  /** SHA-256 that the content must have: DATA_LOSS otherwise, at the end of a stream. */
  readonly sha256?: string;
  /** First byte, from 0; at or past the end there is nothing to read. @default 0 */
  readonly offset?: number;
  /** Bytes at most. @default to the end */
  readonly length?: number;
}

/** Options of {@link ArtifactStore.list}. */
export interface ListOptions {
  /** Yield only keys after this one: the last key of the page before. */
  readonly startAfter?: string;
  /** Objects at most. @default all */
  readonly limit?: number;
}

/** Options of {@link ArtifactStore.delete}. */
export interface DeleteOptions {
  /** Delete only the object that has this etag (ABORTED when it has another; absent stays no error). */
  readonly ifMatch?: string;
}

/** Options of {@link ArtifactStore.removeUnfinished}. */
export interface UnfinishedOptions {
  /** Only count. @default false */
  readonly dryRun?: boolean;
}

/**
 * Objects by key. A key is one or more segments of letters, digits, `.`, `_`, `-`, `=` joined by `/`; no segment is `.`
 * or `..` (INVALID_ARGUMENT otherwise). Readers see an object as it was before a put or after it, never in between; a
 * put that has returned survives a crash. A store that does not answer is UNAVAILABLE.
 */
export interface ArtifactStore {
  /** Where it is, for people: a folder, or bucket and endpoint. Never holds a secret. */
  readonly place: string;
  /**
   * Writes an object. RESOURCE_EXHAUSTED, with the store's place as its resource, when there is no space; the object
   * before it then stays whole.
   */
  put(key: string, content: ArtifactContent, options?: PutOptions): Promise<PutResult>;
  /**
   * Reads an object, or a range of it, into memory; a string is short for `{ sha256 }`. NOT_FOUND if absent. DATA_LOSS
   * when a whole object has not the hash asked for, or not the one that the store has kept.
   */
  get(key: string, options?: string | ReadOptions): Promise<Uint8Array>;
  /** As {@link get}, as a stream of parts; DATA_LOSS comes at its end. */
  read(key: string, options?: ReadOptions): AsyncIterable<Uint8Array>;
  /** Describes an object; null if absent. */
  describe(key: string): Promise<ArtifactDescription | null>;
  /** Yields the objects whose key starts with `prefix`, by key (in the order of its characters' codes). */
  list(prefix: string, options?: ListOptions): AsyncIterable<ArtifactDescription>;
  /** Deletes an object; absent is no error. */
  delete(key: string, options?: DeleteOptions): Promise<void>;
  /**
   * Removes what unfinished puts of dead writers have left and that is older; answers how many there were. Nothing of it
   * was ever visible.
   */
  removeUnfinished(olderThanMs: number, options?: UnfinishedOptions): Promise<number>;
}

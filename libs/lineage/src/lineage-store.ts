// What lineage needs of an artifact store: a part of the interface of `@kindred/artifact-store`, under the same contract.

/** What a store knows of one object. */
export interface StoredObject {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** When it was last written. */
  readonly modifyTime: Date;
  /** Another after each put. */
  readonly etag: string;
  /** SHA-256 of the content, lower-case hexadecimal, where the store has kept it. */
  readonly sha256: string | null;
}

/** Conditions of a put; at most one of the first two is given. */
export interface PutConditions {
  /** Refuse to replace an object (ALREADY_EXISTS). */
  readonly ifAbsent?: boolean;
  /** Replace only the object that has this etag (ABORTED). */
  readonly ifMatch?: string;
  /** Hash that the content must have (DATA_LOSS). */
  readonly sha256?: string;
}

/** Objects by key, visible whole or not at all. */
export interface LineageStore {
  put(
    key: string,
    content: Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options?: PutConditions,
  ): Promise<{ readonly sha256: string; readonly size: number }>;
  /** NOT_FOUND if absent; DATA_LOSS when the content has another hash than the one asked for. */
  get(key: string, sha256?: string): Promise<Uint8Array>;
  /** As a stream of parts. NOT_FOUND if absent. */
  read(key: string): AsyncIterable<Uint8Array>;
  /** Null if absent. */
  describe(key: string): Promise<StoredObject | null>;
  /** Objects whose key starts with `prefix`, by key. */
  list(prefix: string): AsyncIterable<StoredObject>;
  /** Absent is no error; with `ifMatch`, ABORTED when the object has another etag. */
  delete(key: string, options?: { readonly ifMatch?: string }): Promise<void>;
}

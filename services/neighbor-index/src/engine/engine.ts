// What an engine has to do: keep collections and search them. Requests that reach it are checked already.
import type { Filter } from '@kindred/protocol/neighbors';
import type { Included, PointId, PointRecord, Points } from './points.js';
import type { CollectionSpec, EngineKind } from './spec.js';

/** How a collection stands. */
export type CollectionState = 'loading' | 'ready' | 'damaged';

/** What is known of a collection without asking its engine again. */
export interface CollectionSummary {
  readonly name: string;
  readonly spec: CollectionSpec;
  readonly createTime: Date;
  readonly state: CollectionState;
  /** What is wrong; '' unless damaged. */
  readonly problem: string;
}

/** A write that is as durable as the collection's spec says. */
export interface Written {
  /** Points that were stored or, in a deletion, that were there. */
  readonly count: number;
  /** Points in the collection now. */
  readonly size: number;
  /** Number of the write; later ones have larger numbers. 0n where the engine has none. */
  readonly sequence: bigint;
}

/** What is deleted. */
export type Selection =
  { readonly ids: readonly PointId[]; readonly filter: null } | { readonly ids: null; readonly filter: Filter };

/** What is searched for, and how. */
export interface SearchQuery {
  /** [n, dimension]; of length 1 where the metric is cosine. */
  readonly queries: Float32Array;
  /** 1 to 2048. */
  readonly k: number;
  /** Null: all points. */
  readonly filter: Filter | null;
  /** Least score, with L2 the largest; null: none. */
  readonly scoreThreshold: number | null;
  readonly include: Included;
  /** 0: as the spec says. */
  readonly efSearch: number;
  /** 0: as the spec says. */
  readonly probes: number;
  /** Compare every point. */
  readonly exact: boolean;
}

/** Neighbours of some queries, [n, k] each, nearest first. */
export interface Hits {
  readonly k: number;
  /** Neighbours of each query, at most k, [n]; the places after them are of no meaning. */
  readonly counts: Uint32Array;
  /** [n, k]; null at empty places. */
  readonly ids: readonly (PointId | null)[];
  /** [n, k]: inner product, cosine or squared distance. */
  readonly scores: Float32Array;
  /** [n, k]; -1: unlabelled. */
  readonly labels: Int32Array;
  /** [n, k]; null unless asked for. */
  readonly payloads: readonly string[] | null;
  /** [n, k]; null unless asked for. */
  readonly vectors: readonly (Float32Array | null)[] | null;
}

/** A page of points by id, as `compareIds` orders them. */
export interface Page {
  readonly points: readonly PointRecord[];
  /** What the next page comes after; null: there is none. */
  readonly next: PointId | null;
}

/** Which page. */
export interface PageRequest {
  /** Null: from the first point. */
  readonly after: PointId | null;
  readonly limit: number;
  readonly filter: Filter | null;
  readonly include: Included;
}

/** What a collection consists of. The contract's GetStatsResponse, in its words. */
export interface CollectionStats {
  readonly size: number;
  readonly labelled: number;
  readonly deletedRows: number;
  readonly indexedRows: number;
  readonly segments: readonly {
    readonly segment: number;
    readonly rows: number;
    readonly deleted: number;
    readonly indexed: boolean;
    readonly diskBytes: number;
  }[];
  readonly growingRows: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly logBytes: number;
  readonly lastSequence: bigint;
  readonly recovery: readonly string[];
  readonly optimizing: boolean;
  readonly nodes: readonly string[];
}

/** A collection that answers. After `Engine.delete` every call is NOT_FOUND. */
export interface Collection {
  readonly name: string;
  readonly spec: CollectionSpec;
  readonly createTime: Date;
  /** Points in it. */
  size(): Promise<number>;
  /** Stores points, all or none of them; ids are distinct over all parts. RESOURCE_EXHAUSTED: a quota, or no space. */
  upsert(parts: readonly Points[], signal: AbortSignal): Promise<Written>;
  /** Deletes points; those that do not exist are no error. */
  delete(selection: Selection, signal: AbortSignal): Promise<Written>;
  /** The points of these ids that exist, in their order. */
  get(ids: readonly PointId[], include: Included, signal: AbortSignal): Promise<readonly PointRecord[]>;
  /** One page. */
  scroll(request: PageRequest, signal: AbortSignal): Promise<Page>;
  /** Points that match, exactly. */
  count(filter: Filter | null, signal: AbortSignal): Promise<number>;
  /** The nearest points. */
  search(query: SearchQuery, signal: AbortSignal): Promise<Hits>;
  /** Whether any point has a label. */
  hasLabels(): Promise<boolean>;
  /** All points as one table by ascending id, for mining: [n], [n, dimension]. */
  table(signal: AbortSignal): Promise<{ readonly labels: Int32Array; readonly vectors: Float32Array }>;
  /** What it consists of. */
  stats(): Promise<CollectionStats>;
}

/** Keeps collections of one kind. Names are unique over all engines; whoever creates takes care of that. */
export interface Engine {
  readonly kind: EngineKind;
  /** Finds the names that exist; nothing else may be called before it has ended. */
  find(): Promise<void>;
  /** Reads the collections that were found; each answers as soon as it is read. */
  open(): Promise<void>;
  /** Makes a collection; its name is free. */
  create(name: string, spec: CollectionSpec): Promise<Collection>;
  /** All collections, damaged ones too. */
  list(): readonly CollectionSummary[];
  /** Null: no such collection. DATA_LOSS: it is damaged; UNAVAILABLE: it is being loaded. */
  get(name: string): Collection | null;
  /** Deletes a collection and its points; no effect where there is none. UNAVAILABLE: it is being read. */
  delete(name: string): Promise<void>;
  /** Ends what runs; all that was acknowledged is kept. */
  close(): Promise<void>;
}

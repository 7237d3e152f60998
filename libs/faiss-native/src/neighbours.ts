// What searching and mining have in common: their result, and how they are watched and ended.

/** Nearest vectors of each query, best first. */
export interface FaissNeighbours {
  /** Neighbours a query: as asked, or the number of vectors where that is smaller. */
  readonly k: number;
  /** Inner products, [queries, k]. */
  readonly scores: Float32Array;
  /** Positions in the order in which the vectors were given, [queries, k]; smallest first among equal scores. */
  readonly positions: Int32Array;
}

/** Options of a search or of mining. */
export interface SearchOptions {
  /** Ends the work (CANCELLED) before its next part. */
  readonly signal?: AbortSignal;
  /** Called after each part with the number of queries that are done; in mining, with that share of the vectors. */
  readonly onProgress?: (completed: number) => void;
}

// Searching, indexes of faiss, and mining: typed arrays in, scores and positions out, off the event loop.
export { setSearchThreads } from './addons.js';
export { createFaissEngine } from './faiss-engine.js';
export type { FaissEngine } from './faiss-engine.js';
export type { MiningRequest } from './mining.js';
export { buildIndex, crc32c, exportFaiss, loadIndex, searchRows } from './segment-search.js';
export type {
  BuildOptions,
  FoundRows,
  IndexedRows,
  IndexPlan,
  RowSearch,
  SearchedRows,
  SegmentIndex,
} from './segment-search.js';
export type { FaissNeighbours, SearchOptions } from './neighbours.js';

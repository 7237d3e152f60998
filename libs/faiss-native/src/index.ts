// faiss in a worker thread: typed arrays in, scores and positions out.
export { createFaissEngine } from './faiss-engine.js';
export type { FaissEngine, FaissIndex, FaissNeighbours, SearchOptions } from './faiss-engine.js';

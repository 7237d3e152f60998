// faiss and mining in a worker thread: typed arrays in, scores and positions out.
export { createFaissEngine } from './faiss-engine.js';
export type { FaissEngine, FaissIndex } from './faiss-engine.js';
export type { MiningRequest } from './mining.js';
export type { FaissNeighbours, SearchOptions } from './neighbours.js';

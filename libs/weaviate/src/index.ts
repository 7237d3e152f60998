// The wall around Weaviate's client: nodes of a cluster, their errors in the house's codes.
export { openWeaviateNode } from './node.js';
export type {
  FetchRequest,
  NearRequest,
  ShardOfNode,
  StoredObject,
  WeaviateAddress,
  WeaviateClass,
  WeaviateNode,
  WeaviateObject,
  WeaviateNodeOptions,
} from './node.js';
export type { WeaviateFilter } from './filter.js';
export { isSilent, silentNode } from './failures.js';
export type { ConsistencyLevel } from './node.js';

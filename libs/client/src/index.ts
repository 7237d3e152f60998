// The embedding service for applications in TypeScript.
export { createEmbeddingClient } from './embedding-client.js';
export type {
  EmbeddingClient,
  EmbeddingClientOptions,
  EmbedOptions,
  Embedded,
  Images,
  Pixels,
  RefusedImage,
} from './embedding-client.js';
export { KindredError, isKindredError } from '@kindred/errors';

// The embedding service for applications in TypeScript.
export { createEmbeddingClient } from './embedding-client.js';
export type {
  EmbeddingClient,
  EmbeddingClientOptions,
  EmbedOptions,
  Embedded,
  RefusedImage,
} from './embedding-client.js';
export type { Images, Pixels } from './request-parts.js';
export { KindredError, isKindredError } from '@kindred/errors';

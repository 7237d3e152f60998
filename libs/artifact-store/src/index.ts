// Artifacts by key: the interface, and the stores in a folder and in a bucket of an S3 server.
export { createFolderStore } from './folder-store.js';
export { openStore } from './open-store.js';
export type { OpenStoreOptions } from './open-store.js';
export { applyRetention } from './retention.js';
export type { RetentionOptions, RetentionResult, RetentionRule } from './retention.js';
export { saveFile, writeBlocks } from './save-file.js';
export { parseStoreLocation } from './store-location.js';
export type { FolderLocation, S3Location } from './store-location.js';
export { checkedKey } from './key.js';
export type {
  ArtifactContent,
  ArtifactDescription,
  ArtifactStore,
  DeleteOptions,
  ListOptions,
  PutOptions,
  PutResult,
  ReadOptions,
} from './artifact-store.js';

// Artifacts by key: the interface, and the store in a folder.
export { createFolderStore } from './folder-store.js';
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

// One way to open a store, by its name.
import type { ArtifactStore } from './artifact-store.js';
import { createFolderStore } from './folder-store.js';
import { createS3Store } from './s3-store.js';
import { parseStoreLocation } from './store-location.js';

/** Options of {@link openStore}. */
export interface OpenStoreOptions {
  /** Where defaults and credentials come from. @default process.env */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** How long calls are repeated while a server does not answer, in milliseconds. @default 60_000 */
  readonly patienceMs?: number;
  /** Told, for people, when the server has not answered for a while, and when it does again. @default nobody */
  readonly onNotice?: (message: string) => void;
}

/**
 * Opens the store of a name: a folder's path, or `s3://BUCKET/PREFIX?endpoint=…` ({@link parseStoreLocation} has the
 * rest). What keeps an S3 store from being used is thrown here.
 */
export function openStore(name: string, options: OpenStoreOptions = {}): Promise<ArtifactStore> {
  const { environment = process.env, patienceMs = 60_000, onNotice = () => {} } = options;
  const location = parseStoreLocation(name, environment);
  if (location.kind === 'folder') return createFolderStore(location.path);
  return createS3Store(location, environment, { patienceMs, onNotice });
}

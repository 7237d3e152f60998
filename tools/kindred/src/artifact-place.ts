// Where artifacts are, as the command line names it: a folder, an S3 address, or a MinIO of the data folder's own.
import { parseStoreLocation } from '@kindred/artifact-store';

/** The store's name for a MinIO that is started with the services. */
export const ownMinio = 'minio';

/**
 * The folder of a store; null for one in a bucket.
 * @throws KindredError INVALID_ARGUMENT when `store` names none.
 */
export function folderOfStore(store: string): string | null {
  if (store === ownMinio) return null;
  const location = parseStoreLocation(store, process.env);
  return location.kind === 'folder' ? location.path : null;
}

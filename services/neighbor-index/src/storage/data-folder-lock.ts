// One process at a time uses a data folder: a name in the kernel that ends with the process, however it ends.
import { stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { KindredError } from '@kindred/errors';

/** A lock that is held. */
export interface DataFolderLock {
  release(): Promise<void>;
}

/**
 * Locks a folder that exists, by whichever path. The lock is a Unix socket without a file (unix(7), "abstract"), which only
 * one process of a network namespace can have: nothing stale is ever left. Containers that share a folder are not kept apart,
 * nor are processes elsewhere than on Linux.
 * @throws KindredError FAILED_PRECONDITION naming the folder: another process has it.
 */
export async function lockDataFolder(folder: string): Promise<DataFolderLock> {
  if (process.platform !== 'linux') return { release: async () => {} };
  const { dev, ino } = await stat(folder, { bigint: true });
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path: `\0kindred-neighbor-index-${dev}-${ino}` }, resolve);
  }).catch((thrown: unknown) => {
    if ((thrown as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw thrown;
    throw new KindredError(
      'FAILED_PRECONDITION',
      `another process uses the data folder ${folder}; end it, or choose another folder (KINDRED_NEIGHBOR_INDEX_DATA)`,
      { resource: { type: 'file', name: folder }, cause: thrown },
    );
  });
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}

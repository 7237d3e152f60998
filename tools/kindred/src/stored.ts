// Commands that work on the artifact store itself; no service need run.
import type { Command } from 'commander';
import { openStore, type ArtifactStore } from '@kindred/artifact-store';
import { isKindredError } from '@kindred/errors';
import { makeDataFolder, type DataFolder, type ServicesRecord } from './data-folder.js';
import { runCommand, type CommandContext, type GlobalOptions } from './command-context.js';
import { ownMinio } from './artifact-place.js';
import { acquireLock, type Lock } from './lock.js';
import { startMinio, type MinioServer } from './minio-server.js';
import { recordOfRunning } from './session.js';
import type { ExitCode } from './exit-codes.js';

/**
 * Runs one command with the artifact store of the services that run, else of its own options. A MinIO of the data folder's
 * own is this command's alone while it runs: two servers on one folder would damage it. Others wait until it has ended.
 */
export function runWithStore(
  command: Command,
  work: (store: ArtifactStore, context: CommandContext) => Promise<ExitCode | void>,
): Promise<void> {
  return runCommand(command.optsWithGlobals<GlobalOptions>(), async (context) => {
    const { folder, output, interruption } = context;
    const { running, lock } = await findServer(folder, interruption.signal);
    let minio: MinioServer | null = null;
    try {
      minio = lock === null ? null : await startMinio(folder, (words) => output.text(words));
      const name = running?.store ?? minio?.store ?? folder.artifacts;
      return await work(await openStore(name, { onNotice: (message) => output.warn(message) }), context);
    } finally {
      await minio?.stop();
      await lock?.release();
    }
  });
}

/** The services that run, or the right to run the data folder's own MinIO; neither where the store is another. */
async function findServer(
  folder: DataFolder,
  signal: AbortSignal,
): Promise<{ readonly running: ServicesRecord | null; readonly lock: Lock | null }> {
  for (;;) {
    const running = await recordOfRunning(folder, signal);
    if (running !== null || folder.artifacts !== ownMinio) return { running, lock: null };
    // The first command on a data folder may be one that needs no service.
    await makeDataFolder(folder);
    try {
      const name = `kindred ${process.argv.slice(2).join(' ')}`.trim();
      return { running, lock: await acquireLock(folder.lockFile, name) };
    } catch (thrown) {
      // Another command was first: it may be one that runs the services.
      if (signal.aborted || !isKindredError(thrown, 'FAILED_PRECONDITION')) throw thrown;
    }
  }
}

// Commands that work on the artifact store itself; no service need run.
import type { Command } from 'commander';
import { openStore, type ArtifactStore } from '@kindred/artifact-store';
import { makeDataFolder } from './data-folder.js';
import { runCommand, type CommandContext, type GlobalOptions } from './command-context.js';
import { ownMinio } from './artifact-place.js';
import { startMinio } from './minio-server.js';
import { recordOfRunning } from './session.js';
import type { ExitCode } from './exit-codes.js';

/** Runs one command with the artifact store of the services that run, else of its own options. */
export function runWithStore(
  command: Command,
  work: (store: ArtifactStore, context: CommandContext) => Promise<ExitCode | void>,
): Promise<void> {
  return runCommand(command.optsWithGlobals<GlobalOptions>(), async (context) => {
    const { folder, output, interruption } = context;
    const running = await recordOfRunning(folder, interruption.signal);
    const needsMinio = running === null && folder.artifacts === ownMinio;
    // The first command on a data folder may be one that needs no service.
    if (needsMinio) await makeDataFolder(folder);
    const minio = needsMinio ? await startMinio(folder, (words) => output.text(words)) : null;
    try {
      const name = running?.store ?? minio?.store ?? folder.artifacts;
      return await work(await openStore(name, { onNotice: (message) => output.warn(message) }), context);
    } finally {
      await minio?.stop();
    }
  });
}

// Commands that work on the artifact store itself; no service need run.
import type { Command } from 'commander';
import { openStore, type ArtifactStore } from '@kindred/artifact-store';
import { runCommand, type CommandContext, type GlobalOptions } from './command-context.js';
import type { ExitCode } from './exit-codes.js';

/** Runs one command with the artifact store of its data folder. */
export function runWithStore(
  command: Command,
  work: (store: ArtifactStore, context: CommandContext) => Promise<ExitCode | void>,
): Promise<void> {
  return runCommand(command.optsWithGlobals<GlobalOptions>(), async (context) =>
    work(await openStore(context.folder.artifacts), context),
  );
}

// What every command starts with: its output, its interruption, its data folder; and how every command ends.
import { toKindredError } from '@kindred/errors';
import { startTelemetry, withSpan, type Telemetry } from '@kindred/service-runtime';
import { dataFolder, type DataFolder } from './data-folder.js';
import { exitCodeFor, exitCodes, type ExitCode } from './exit-codes.js';
import { createInterruption, type Interruption } from './interruption.js';
import { createOutput, type Output } from './output.js';

/** Options that every command has. */
export interface GlobalOptions {
  readonly data: string;
  readonly store?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

/** What a command works with. */
export interface CommandContext {
  readonly output: Output;
  readonly interruption: Interruption;
  readonly folder: DataFolder;
}

/** Runs one command: errors become one block and an exit code, an interruption 130. */
export async function runCommand(
  options: GlobalOptions,
  work: (context: CommandContext) => Promise<ExitCode | void>,
): Promise<void> {
  const output = createOutput({ json: options.json === true, verbose: options.verbose === true });
  const interruption = createInterruption();
  let telemetry: Telemetry | null = null;
  try {
    telemetry = await startTelemetry('command');
    const context = { output, interruption, folder: dataFolder(options.data, options.store) };
    process.exitCode = (await withSpan('kindred', () => work(context))) ?? exitCodes.ok;
  } catch (thrown) {
    if (interruption.signal.aborted) {
      process.exitCode = exitCodes.interrupted;
      return;
    }
    output.error(thrown, hintsFor(thrown));
    process.exitCode = exitCodeFor(thrown);
  } finally {
    await telemetry?.close();
    interruption.close();
  }
}

/** What to do about an error, where its own text does not say. */
function hintsFor(thrown: unknown): string[] {
  const { code, resource } = toKindredError(thrown);
  if (code === 'UNAUTHENTICATED') return ["the services ask for a token: '--token-file FILE' or KINDRED_TOKEN_FILE"];
  if (code === 'PERMISSION_DENIED') {
    return ["the services read data sets only below folders that they were given: 'kindred up --allow-root DIR'"];
  }
  if (code === 'NOT_FOUND' && resource?.type === 'dataset') {
    return [
      "'kindred dataset list' shows what there is; --data-dir DIR names another folder; 'kindred dataset fetch' gets one",
    ];
  }
  if (code === 'NOT_FOUND' && (resource?.type === 'run' || resource?.type === 'model'))
    return ["'kindred runs' shows what there is"];
  if (code === 'INTERNAL')
    return ['this is a fault of the program; --verbose shows where, the logs of the services are in DATA/logs'];
  return [];
}

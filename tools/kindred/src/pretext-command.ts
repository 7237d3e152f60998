// The main job as a command: `pretext` and `demo` differ in where the experiment comes from and in what they show last.
import { KindredError, toKindredError } from '@kindred/errors';
import { dirname } from 'node:path';
import type { CommandContext } from './command-context.js';
import { exitCodes, type ExitCode } from './exit-codes.js';
import { cancelRun, runPretext, type PretextRequest, type PretextResult } from './pretext-job.js';
import { copyResults, printSummary, summarize, type PretextSummary } from './results.js';
import { openSession, type Session } from './session.js';

/** What to do, and what to do with it. */
export interface PretextCommand {
  readonly request: PretextRequest;
  /** Where copies of the results go, by the name of the data set; null: nowhere. @default nowhere */
  readonly resultsFolder?: (dataset: string) => Promise<string | null>;
  /** Makes what is shown beside the table, before the services end; adds to the summary. */
  readonly illustrate?: (
    session: Session,
    result: PretextResult,
    summary: PretextSummary,
  ) => Promise<Readonly<Record<string, unknown>>>;
  /** How to go on after an interruption, as a command line. */
  readonly resumeCommand: string;
}

/** Runs the main job against running services, or against its own. */
export async function runPretextCommand(context: CommandContext, command: PretextCommand): Promise<ExitCode> {
  const { output, interruption, folder } = context;
  const { runId, start } = command.request;
  const began = Date.now();
  const dataRoot = start?.dataRoot ?? '';
  let begun = false;
  const session = await openSession({
    folder,
    output,
    interruption,
    // A .zip is read from its folder; on a resume the run's own data folder is not known yet, so that all is allowed.
    dataRoots:
      start === null ? ['/'] : dataRoot === '' ? [] : [dataRoot.endsWith('.zip') ? dirname(dataRoot) : dataRoot],
  });
  try {
    output.text(
      session.owned
        ? `run ${runId}, with its own services (logs: ${folder.path}/logs)`
        : `run ${runId}, on the services of ${folder.path}`,
    );
    const result = await runPretext(session, command.request, () => (begun = true));
    const summary = summarize(result, session.artifactFolder, (Date.now() - began) / 1000);
    const copies = (await command.resultsFolder?.(result.experiment.train_db_name)) ?? null;
    printSummary(output, summary);
    if (copies !== null && session.artifactStore !== null) {
      await copyResults(result, session.artifactStore, copies);
      output.text(`  ${'copied to'.padEnd(27)}  ${copies}`);
    } else if (copies !== null)
      output.warn('the artifact store is elsewhere and KINDRED_ARTIFACT_STORE is not set: no results were copied');
    const additions = await command.illustrate?.(session, result, summary);
    output.result({ ...summary, resultsFolder: copies, ...additions });
    return exitCodes.ok;
  } catch (thrown) {
    if (!interruption.signal.aborted) throw begun ? resumable(thrown, command.resumeCommand, folder.path) : thrown;
    await endInterrupted(session, command);
    return exitCodes.interrupted;
  } finally {
    await session.close();
  }
}

/**
 * Adds to the error of a run that was cancelled, or that a person can mend, how to go on with it: doing the command again
 * would start another. `folder`, the data folder, is named where space is what is needed.
 */
export function resumable(thrown: unknown, resumeCommand: string, folder: string): unknown {
  const error = toKindredError(thrown);
  const { code, message, violations } = error;
  const cancelled = code === 'FAILED_PRECONDITION' && error.resource?.type === 'run';
  if (!cancelled && code !== 'UNAVAILABLE' && code !== 'RESOURCE_EXHAUSTED') return thrown;
  // Only the text tells: a paused run's failure has no resource, and other things than a disk can be full.
  const need = code === 'RESOURCE_EXHAUSTED' && /no space left/i.test(message) ? `; data folder: ${folder}` : '';
  return new KindredError(code, `${message}${need}; go on with the run by: ${resumeCommand}`, {
    violations,
    resource: error.resource ?? undefined,
    retryAfterMs: error.retryAfterMs ?? undefined,
    cause: thrown,
  });
}

async function endInterrupted(session: Session, { request, resumeCommand }: PretextCommand): Promise<void> {
  const { output } = session;
  const { runId } = request;
  output.event('interrupted', { runId, detached: !session.owned });
  if (!session.owned) {
    output.text(`left run ${runId}, which goes on; follow it with: kindred runs watch ${runId}`);
    output.text(`its neighbours are made by: ${resumeCommand}`);
    return;
  }
  output.text(`stopping run ${runId}; go on with it by: ${resumeCommand}`);
  await cancelRun(session, runId);
}

/** The run id that both ways of asking name, or an error. */
export function assertOneOf(first: string, hasFirst: boolean, second: string, hasSecond: boolean): void {
  if (hasFirst === hasSecond) {
    throw new KindredError(
      'INVALID_ARGUMENT',
      `${first} or ${second}: got ${hasFirst ? 'both' : 'neither'}; allowed: exactly one`,
    );
  }
}

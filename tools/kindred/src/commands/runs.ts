// `kindred runs`: what the trainer works on and has worked on.
import type { Command } from 'commander';
import { RunState, type Run } from '@kindred/protocol/training';
import { runCommand, type CommandContext, type GlobalOptions } from '../command-context.js';
import { exitCodes, type ExitCode } from '../exit-codes.js';
import { table } from '../output.js';
import { resumable } from '../pretext-command.js';
import { formatPercent } from '../quantities.js';
import { runRows, stateOf } from '../run-facts.js';
import { openSession, type Session } from '../session.js';
import { assertSucceeded, watchRun } from '../watch-run.js';

type Work = (session: Session, context: CommandContext) => Promise<ExitCode | void>;

/** Adds the commands. */
export function addRuns(program: Command): void {
  const runs = program
    .command('runs')
    .description('list, show, watch, cancel or resume training runs (of a running kindred up)');
  runs
    .command('list', { isDefault: true })
    .description('list all runs, newest first')
    .action((_: unknown, command: Command) => withServices(command, list));
  runs
    .command('show <id>')
    .description('show one run')
    .action((id: string, _: unknown, command: Command) => withServices(command, (session) => show(session, id)));
  runs
    .command('watch <id>')
    .description('follow a run to its end; Ctrl-C leaves it running')
    .action((id: string, _: unknown, command: Command) =>
      withServices(command, (session, { folder }) => watch(session, id, folder.path)),
    );
  runs
    .command('cancel <id>')
    .description('stop a run after the step under way; it keeps its checkpoints')
    .action((id: string, _: unknown, command: Command) =>
      withServices(command, async (session) => {
        const { run } = await session.training.cancelRun({ runId: id }, { signal: session.signal });
        session.output.text(`run ${id} ${cancellationOf(run)}; go on with it by: kindred runs resume ${id}`);
        session.output.result(recordOf(run));
      }),
    );
  runs
    .command('resume <id>')
    .description('go on with a failed, cancelled or paused run from its last checkpoint')
    .action((id: string, _: unknown, command: Command) =>
      withServices(command, async (session) => {
        const { run } = await session.training.resumeRun({ runId: id }, { signal: session.signal });
        session.output.text(
          `run ${id} goes on after ${run?.epochsCompleted ?? 0} epochs; follow it by: kindred runs watch ${id}`,
        );
        session.output.result(recordOf(run));
      }),
    );
}

function withServices(command: Command, work: Work): Promise<void> {
  return runCommand(command.optsWithGlobals<GlobalOptions>(), async (context) => {
    const session = await openSession({ ...context, start: null });
    try {
      return await work(session, context);
    } finally {
      await session.close();
    }
  });
}

async function list({ training, output, signal }: Session): Promise<void> {
  const runs: Run[] = [];
  for (let pageToken = ''; ;) {
    const page = await training.listRuns({ pageToken }, { signal });
    runs.push(...page.runs);
    if (page.nextPageToken === '') break;
    pageToken = page.nextPageToken;
  }
  const rows = runs.map((run) => [
    run.runId,
    stateOf(run),
    String(run.epochsCompleted),
    formatPercent(run.knnTop1.at(-1)),
    run.createTime?.toISOString().slice(0, 16).replace('T', ' ') ?? '',
  ]);
  if (rows.length === 0) output.text('there are no runs yet');
  else for (const line of table([['RUN', 'STATE', 'EPOCHS', 'KNN', 'CREATED'], ...rows], [2, 3])) output.text(line);
  output.result({ runs: runs.map(recordOf) });
}

async function show({ training, output, signal, artifactFolder }: Session, runId: string): Promise<void> {
  const { run } = await training.getRun({ runId }, { signal });
  if (run === undefined) return;
  for (const line of table(runRows(run, artifactFolder))) output.text(line);
  output.result(recordOf(run));
}

async function watch(session: Session, runId: string, folder: string): Promise<ExitCode> {
  try {
    const run = await watchRun(session, runId);
    session.output.result(recordOf(run));
    try {
      assertSucceeded(run);
    } catch (thrown) {
      throw resumable(thrown, `kindred runs resume ${runId}`, folder);
    }
    session.output.text(`run ${runId} has ended well`);
    return exitCodes.ok;
  } catch (thrown) {
    if (!session.signal.aborted) throw thrown;
    session.output.text(`left run ${runId}, which goes on`);
    return exitCodes.interrupted;
  }
}

/** A run that trains ends only after the step under way, which can take long. */
function cancellationOf(run: Run | undefined): string {
  return run?.state === RunState.CANCELLED ? 'is cancelled' : 'is being cancelled: it ends after the step under way';
}

/** A run as JSON, with its state by name. */
function recordOf(run: Run | undefined): Record<string, unknown> {
  if (run === undefined) return {};
  const { experimentJson, state: _, ...rest } = run;
  return {
    ...rest,
    state: stateOf(run),
    experiment: JSON.parse(experimentJson === '' ? 'null' : experimentJson) as unknown,
  };
}

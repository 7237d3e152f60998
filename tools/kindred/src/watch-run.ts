// Follows a run to its end, through restarts of the services.
import { KindredError, type ErrorCode, errorCodes } from '@kindred/errors';
import { RunState, type Run } from '@kindred/protocol/training';
import { createRunReporter } from './run-reporter.js';
import type { Session } from './session.js';

/** Whether a run in this state goes no further by itself. */
export function hasEnded(state: RunState): boolean {
  return (
    state === RunState.SUCCEEDED ||
    state === RunState.FAILED ||
    state === RunState.CANCELLED ||
    state === RunState.PAUSED
  );
}

/**
 * Reports a run's events until it ends, and returns it as it then stands. When the trainer is lost, the stream is taken
 * up again at the next event number once it answers.
 */
export async function watchRun(session: Session, runId: string): Promise<Run> {
  const { training, output, signal } = session;
  const reporter = createRunReporter(output);
  let [next, nextPodEnd] = [0n, 0n];
  try {
    await session.persist(async () => {
      const from = { runId, firstEvent: next, firstPodEnd: nextPodEnd };
      for await (const { content } of training.watchRun(from, { signal })) {
        if (content?.$case === 'notice') reporter.notice(content.value.message);
        if (content?.$case === 'podEnded') {
          reporter.podEnded(content.value);
          nextPodEnd = content.value.number + 1n;
        }
        if (content?.$case !== 'event') continue;
        reporter.event(content.value);
        if (content.value.number >= next) next = content.value.number + 1n;
      }
      // A trainer that drains ends its streams, too; only the run's own state says that it is over.
      const { run } = await training.getRun({ runId }, { signal });
      if (run === undefined || hasEnded(run.state)) return;
      throw new KindredError('UNAVAILABLE', `the trainer closed the stream of run ${runId}`, {
        resource: { type: 'service', name: 'trainer' },
      });
    });
  } finally {
    reporter.close();
  }
  const { run } = await session.persist(() => training.getRun({ runId }, { signal }));
  if (run === undefined) throw new KindredError('INTERNAL', `the trainer gave no run for ${runId}`);
  return run;
}

/**
 * Passes a run that succeeded.
 * @throws KindredError otherwise: FAILED_PRECONDITION with the run as its resource for a cancelled one, else the failure's own code.
 */
export function assertSucceeded(run: Run): void {
  if (run.state === RunState.SUCCEEDED) return;
  if (run.state === RunState.CANCELLED) {
    throw new KindredError('FAILED_PRECONDITION', `run ${run.runId} was cancelled`, {
      resource: { type: 'run', name: run.runId },
    });
  }
  const { code = 'INTERNAL', message = 'no reason given' } = run.failure ?? {};
  const state = run.state === RunState.PAUSED ? 'is paused' : 'failed';
  throw new KindredError(errorCodeOf(code), `run ${run.runId} ${state}: ${message}`);
}

/** A gRPC status name as one of our codes. */
export function errorCodeOf(name: string): ErrorCode {
  return name in errorCodes ? (name as ErrorCode) : 'INTERNAL';
}

// The process of a run's pod: trains the run whose id it is given, from its last checkpoint, and reports in the artifact store.
import { setTimeout as delay } from 'node:timers/promises';
import { openStore } from '@kindred/artifact-store';
import { isKindredError } from '@kindred/errors';
import { createLogger } from '@kindred/service-runtime';
import { createBatchReader } from './batch-reader.js';
import { loadTrainingRunConfig } from './config.js';
import { trainingExit } from './exit-codes.js';
import { createLastWords } from './last-words.js';
import { createPodEnds, keptLogBytes } from './pod-ends.js';
import { openRunJournal } from './run-journal.js';
import { createRunProgress, failedOutcome } from './run-progress.js';
import { lastCheckpoint } from './run-entry.js';
import { otherSettings } from './run-settings.js';
import { createRunStore } from './run-store.js';
import { rememberDatasets } from './seen-datasets.js';
import { runTraining } from './training-loop.js';

/** How long an ending process tries to leave its log in the store. Training goes on meanwhile, as until any other end: between commits nothing counts. */
const leaveMs = 3_000;

const words = createLastWords(keptLogBytes);
const logger = createLogger('trainer', undefined, words);
/** Set when the store is open. */
let leaveWords = async (): Promise<void> => {};

// A pod that is deleted, drained or preempted: all that counts is stored, the next pod goes on from there.
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    logger.info({ signal }, 'told to stop');
    void leave(trainingExit.stopped);
  });
}

try {
  process.exitCode = await main(process.argv[2] ?? '');
} catch (thrown) {
  logger.error({ err: thrown }, 'the run could not be worked on');
  process.exitCode = trainingExit.retry;
}
// Threads of TensorFlow may still hold the process.
await leave(process.exitCode);

/** Ends the process. The trainer may come too late to ask the cluster for its log, so that is stored first. */
async function leave(exitCode: number): Promise<never> {
  const leaving = leaveWords().catch((thrown: unknown) => logger.warn({ err: thrown }, 'the log could not be stored'));
  await Promise.race([leaving, delay(leaveMs)]);
  return process.exit(exitCode);
}

async function main(runId: string): Promise<number> {
  const config = loadTrainingRunConfig();
  const { tensorFlow, job, pod } = config;
  const artifacts = await openStore(config.artifactStore, {
    patienceMs: config.storeRetryMs,
    onNotice: (message) => logger.warn({ run: runId }, message),
  });
  const store = createRunStore(artifacts);
  const progress = createRunProgress(artifacts);
  const { record } = await store.load(runId);
  leaveWords = () => createPodEnds(artifacts).leaveWords(runId, pod, words.end());
  const { state, specification } = record;
  if (state !== 'pending' && state !== 'running') {
    // Nobody waits for this pod: a Job that was made again by hand.
    logger.error({ run: runId, state }, 'the run has ended; nothing is done');
    return trainingExit.failed;
  }
  const end = async (outcome: Ending): Promise<number> => {
    await progress.writeOutcome(runId, { ...outcome, job, pod });
    return outcome.kind === 'done' ? trainingExit.done : trainingExit.failed;
  };

  let stored;
  try {
    stored = await store.loadWhole(runId);
  } catch (thrown) {
    if (!isKindredError(thrown, 'DATA_LOSS')) throw thrown;
    return end(failedOutcome(thrown, null));
  }
  const journal = openRunJournal({
    ...{ store, progress, job, pod, tensorFlow },
    stored: { record, ...stored },
    keepCheckpoints: config.keepCheckpoints,
  });
  const notify = (message: string): void => {
    logger.warn({ run: runId }, message);
    journal.notify(message);
  };
  const checkpoint = lastCheckpoint(journal.entry);
  const other = otherSettings(checkpoint?.tensorFlow, tensorFlow);
  if (other !== '') {
    notify(
      `the run goes on with other settings than it had (${other}): it will not end with the bits of the undisturbed run`,
    );
  }
  logger.info({ run: runId, checkpoint: checkpoint?.checkpoint.key ?? '', job, pod }, 'training');
  const address = config.dataAugmentationAddress;
  const reader = rememberDatasets(createBatchReader({ address, retryMs: config.dataRetryMs }, notify));
  let stepsCompleted: number | null = null;
  try {
    const written = await runTraining(
      { specification, checkpoint, tensorFlow },
      {
        reader,
        seenDatasets: reader.seen,
        artifacts,
        signal: new AbortController().signal,
        emit: journal.emit,
        notify,
        commit: journal.commit,
        onStep: (completed) => (stepsCompleted = completed),
      },
    );
    await journal.close();
    return await end({ kind: 'done', artifacts: written });
  } catch (thrown) {
    logger.error({ err: thrown, run: runId }, 'training failed');
    await journal.close();
    return await end(failedOutcome(thrown, stepsCompleted));
  } finally {
    await reader.close();
  }
}

type Ending = ReturnType<typeof failedOutcome> | { readonly kind: 'done'; readonly artifacts: readonly string[] };

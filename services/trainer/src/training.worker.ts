// The process of one run: trains, reports to the service that started it, and ends with it.
import { openStore } from '@kindred/artifact-store';
import { KindredError, serializeError, type SerializedError } from '@kindred/errors';
import { createBatchReader } from './batch-reader.js';
import type { Checkpointed, RunEventBody } from './run.js';
import { rememberDatasets } from './seen-datasets.js';
import type { TrainingJob } from './training-job.js';
import { runTraining } from './training-loop.js';

/** From the service: what to do, stop, or "the history up to your checkpoint is stored". */
export type TrainingCommand =
  | {
      readonly kind: 'train';
      readonly job: TrainingJob;
      readonly artifactStore: string;
      readonly dataAugmentationAddress: string;
      readonly dataRetryMs: number;
      readonly storeRetryMs: number;
    }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'committed' };

/** To the service. */
export type TrainingMessage =
  | { readonly kind: 'event'; readonly time: string; readonly body: RunEventBody }
  | { readonly kind: 'notice'; readonly message: string }
  | { readonly kind: 'commit'; readonly checkpointed: Checkpointed }
  | { readonly kind: 'done'; readonly artifacts: string[] }
  | { readonly kind: 'failed'; readonly error: SerializedError; readonly stepsCompleted: number | null };

const cancelled = new AbortController();
let committed: () => void = () => {};

process.on('message', (command: TrainingCommand) => {
  switch (command.kind) {
    case 'train':
      void train(command);
      return;
    case 'cancel':
      cancelled.abort();
      return;
    case 'committed':
      committed();
  }
});
// Without the service nobody would store what this process reports; the next service starts another from the checkpoint.
process.on('disconnect', () => process.exit(1));
// Ctrl-C in a terminal reaches the whole process group; the service decides when a run ends.
process.on('SIGINT', () => {});

async function train(command: Extract<TrainingCommand, { kind: 'train' }>): Promise<void> {
  const notify = (message: string): void => send({ kind: 'notice', message });
  const { dataAugmentationAddress: address, dataRetryMs: retryMs } = command;
  const reader = rememberDatasets(createBatchReader({ address, retryMs }, notify));
  let stepsCompleted: number | null = null;
  try {
    const artifacts = await runTraining(command.job, {
      reader,
      seenDatasets: reader.seen,
      artifacts: await openStore(command.artifactStore, { patienceMs: command.storeRetryMs, onNotice: notify }),
      signal: cancelled.signal,
      emit: (body) => send({ kind: 'event', time: new Date().toISOString(), body }),
      notify,
      onStep: (completed) => (stepsCompleted = completed),
      commit,
    });
    send({ kind: 'done', artifacts });
  } catch (thrown) {
    send({ kind: 'failed', error: serializeError(thrown), stepsCompleted });
  } finally {
    await reader.close();
    process.disconnect();
  }
}

/** Resolves once the service has stored the history up to the checkpoint. @throws KindredError CANCELLED when aborted. */
async function commit(checkpointed: Checkpointed): Promise<void> {
  const { signal } = cancelled;
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => reject(new KindredError('CANCELLED', 'the run was cancelled'));
    committed = () => {
      signal.removeEventListener('abort', abort);
      resolve();
    };
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    send({ kind: 'commit', checkpointed });
  });
}

function send(message: TrainingMessage): void {
  // The service may have died an instant ago; `disconnect` then ends this process.
  process.send?.(message, undefined, undefined, () => {});
}

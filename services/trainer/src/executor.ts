// Runs the training process of one run as a child of this service.
import type { ChildProcess } from 'node:child_process';
import { deserializeError, toKindredError, type KindredError } from '@kindred/errors';
import { forkProcess, workerEntry } from '@kindred/workers';
import type { EpochRecord, RunEventBody } from './run.js';
import type { TrainingCommand, TrainingMessage } from './training.worker.js';
import type { TrainingJob } from './training-loop.js';

/** What the executor hears of a training process. */
export interface TrainingListener {
  onEvent(time: string, body: RunEventBody): void;
  onNotice(message: string): void;
  /** The state is stored; resolve once the history up to it is, too. */
  onCommit(checkpoint: Omit<EpochRecord, 'events'>): Promise<void>;
}

/** How a training process ended. */
export type TrainingEnd =
  | { readonly kind: 'done'; readonly artifacts: readonly string[] }
  | { readonly kind: 'failed'; readonly error: KindredError }
  /** It vanished without a word: killed, or out of memory. */
  | { readonly kind: 'lost'; readonly reason: string };

/** A training process at work. */
export interface RunningTraining {
  readonly ended: Promise<TrainingEnd>;
  /** Asks it to stop after the step under way; kills it when it has not stopped after a while. */
  cancel(): void;
  /** Kills it; the run goes on from its checkpoint when it is started again. */
  kill(): void;
}

/** Starts training processes. */
export interface TrainingExecutor {
  start(job: TrainingJob, listener: TrainingListener): RunningTraining;
}

/** What every training process of this service is told. */
export interface LocalExecutorOptions {
  readonly artifactStore: string;
  readonly dataAugmentationAddress: string;
  readonly dataRetryMs: number;
  /** How long a cancelled process may take to stop, in milliseconds. @default 30_000 */
  readonly cancelGraceMs?: number;
}

/** Makes the executor that uses child processes of this machine. */
export function createLocalExecutor(options: LocalExecutorOptions): TrainingExecutor {
  const entry = workerEntry(import.meta.url, 'training');
  const { artifactStore, dataAugmentationAddress, dataRetryMs, cancelGraceMs = 30_000 } = options;
  return {
    start(job, listener) {
      const child = forkProcess(entry, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
      const command: TrainingCommand = { kind: 'train', job, artifactStore, dataAugmentationAddress, dataRetryMs };
      tell(child, command);
      return {
        ended: endOf(child, listener),
        cancel() {
          tell(child, { kind: 'cancel' });
          setTimeout(() => child.kill('SIGKILL'), cancelGraceMs).unref();
        },
        kill: () => void child.kill('SIGKILL'),
      };
    },
  };
}

function endOf(child: ChildProcess, listener: TrainingListener): Promise<TrainingEnd> {
  return new Promise((resolve) => {
    let end: TrainingEnd | null = null;
    let committing = Promise.resolve();
    child.on('message', (message: TrainingMessage) => {
      switch (message.kind) {
        case 'event':
          return listener.onEvent(message.time, message.body);
        case 'notice':
          return listener.onNotice(message.message);
        case 'commit':
          committing = listener.onCommit(message.checkpoint).then(
            () => tell(child, { kind: 'committed' }),
            (thrown: unknown) => {
              end ??= { kind: 'failed', error: toKindredError(thrown) };
              child.kill('SIGKILL');
            },
          );
          return;
        case 'done':
          end ??= { kind: 'done', artifacts: message.artifacts };
          return;
        case 'failed':
          end ??= { kind: 'failed', error: deserializeError(message.error) };
      }
    });
    child.on('error', (error) => (end ??= { kind: 'failed', error: toKindredError(error) }));
    child.on('exit', (code, signal) => {
      const reason = signal === null ? `exit code ${code}` : `signal ${signal}`;
      void committing.then(() => resolve(end ?? { kind: 'lost', reason }));
    });
  });
}

function tell(child: ChildProcess, command: TrainingCommand): void {
  // The child may be gone; then its exit says all.
  child.send(command, () => {});
}

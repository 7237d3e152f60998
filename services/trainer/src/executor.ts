// Runs the training process of one run as a child of this service.
import type { ChildProcess } from 'node:child_process';
import { deserializeError, toKindredError, type KindredError } from '@kindred/errors';
import { forkProcess, workerEntry } from '@kindred/workers';
import type { Checkpointed, RunEventBody } from './run.js';
import type { TrainingJob } from './training-job.js';
import type { TrainingCommand, TrainingMessage } from './training.worker.js';

/** What the executor hears of a training process. */
export interface TrainingListener {
  onEvent(time: string, body: RunEventBody): void;
  onNotice(message: string): void;
  /** The state is stored; resolve once the history up to it is, too. */
  onCommit(checkpointed: Checkpointed): Promise<void>;
}

/** How a training process ended. */
export type TrainingEnd =
  | { readonly kind: 'done'; readonly artifacts: readonly string[] }
  /** `stepsCompleted`: the steps of the run that had ended well; null where no step was tried. */
  | { readonly kind: 'failed'; readonly error: KindredError; readonly stepsCompleted: number | null }
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
  readonly storeRetryMs: number;
  /** How long a cancelled process may take to stop, in milliseconds. @default 30_000 */
  readonly cancelGraceMs?: number;
}

/** Makes the executor that uses child processes of this machine. */
export function createLocalExecutor(options: LocalExecutorOptions): TrainingExecutor {
  const entry = workerEntry(import.meta.url, 'training');
  const { cancelGraceMs = 30_000, ...told } = options;
  return {
    start(job, listener) {
      const child = forkProcess(entry, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
      const command: TrainingCommand = { kind: 'train', job, ...told };
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
    let reason = 'it could not be started';
    let committing = Promise.resolve();
    const fail = (thrown: unknown, stepsCompleted: number | null): void => {
      end ??= { kind: 'failed', error: toKindredError(thrown), stepsCompleted };
    };
    child.on('message', (message: TrainingMessage) => {
      switch (message.kind) {
        case 'event':
          return listener.onEvent(message.time, message.body);
        case 'notice':
          return listener.onNotice(message.message);
        case 'commit':
          committing = listener.onCommit(message.checkpointed).then(
            () => tell(child, { kind: 'committed' }),
            (thrown: unknown) => {
              fail(thrown, message.checkpointed.checkpoint.stepsCompleted);
              child.kill('SIGKILL');
            },
          );
          return;
        case 'done':
          end ??= { kind: 'done', artifacts: message.artifacts };
          return;
        case 'failed':
          fail(deserializeError(message.error), message.stepsCompleted);
      }
    });
    child.on('error', (error) => fail(error, null));
    child.on('exit', (code, signal) => (reason = signal === null ? `exit code ${code}` : `signal ${signal}`));
    // 'exit' may overtake messages that a killed process had sent; 'close' comes after the last of them.
    child.on('close', () => void committing.then(() => resolve(end ?? { kind: 'lost', reason })));
  });
}

function tell(child: ChildProcess, command: TrainingCommand): void {
  // The child may be gone; then its exit says all.
  child.send(command, () => {});
}

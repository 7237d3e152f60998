// When a collection is checkpointed and optimized: by size, and when writes have rested.
import { isKindredError, toKindredError } from '@kindred/errors';
import { checkpoint, type Files } from './checkpoint.js';
import type { Contents } from './contents.js';
import type { Quotas } from '../engine/quotas.js';
import { counted } from '../metrics.js';
import { choosePartsToMerge, optimize } from './optimizer.js';

/** When, and how much of the machine it may take. */
export interface MaintenanceSettings {
  /** Bytes of vectors that grow in memory before they become a file. */
  readonly growingBytes: number;
  /** The same in rows, for collections with an index: what grows is compared row by row. */
  readonly growingRows: number;
  /** Bytes of log that a start may have to read. */
  readonly logBytes: number;
  /** How long writes rest before what grew becomes a file, in milliseconds. */
  readonly restMs: number;
  /** Pause after a failure, in milliseconds. */
  readonly retryMs: number;
  /** Cores that building an index may use. */
  readonly threads: number;
}

/** Settings of a service. */
export const defaultMaintenance: MaintenanceSettings = {
  growingBytes: 64 * 1024 * 1024,
  growingRows: 16_384,
  logBytes: 256 * 1024 * 1024,
  restMs: 3_000,
  retryMs: 5_000,
  threads: 1,
};

/** Holds memory for work that passes, as `Quotas.hold` does. */
export type HoldMemory = Quotas['hold'];

/** Whom the background work asks and tells. */
export interface MaintenanceParts {
  readonly hold: HoldMemory;
  readonly onError: (error: unknown) => void;
}

/** The background work of one collection. */
export interface Maintenance {
  /** Told of each write. */
  written(): void;
  /** Writes all that is in memory to files now. */
  checkpoint(): Promise<void>;
  /** Waits until nothing is to be merged or indexed. */
  settle(): Promise<void>;
  readonly optimizing: boolean;
  /** Runs `work` while neither a checkpoint nor an exchange of parts is at work. */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** Begins the background work. */
export function startMaintenance(
  contents: Contents,
  files: Files,
  { hold, onError }: MaintenanceParts,
  settings: MaintenanceSettings,
): Maintenance {
  const closing = new AbortController();
  let turn: Promise<unknown> = Promise.resolve();
  let optimizing: Promise<void> | null = null;
  let checkpointing = false;
  let rest: NodeJS.Timeout | null = null;
  let retry: NodeJS.Timeout | null = null;

  const exclusively = <T>(work: () => Promise<T>): Promise<T> => {
    const running = turn.then(work);
    turn = running.catch(() => {});
    return running;
  };
  const checkpointNow = async (): Promise<void> => {
    await exclusively(() => counted('checkpoints', () => checkpoint(contents, files, hold)));
    optimizeSoon();
  };
  const inBackground = (work: Promise<void>): void => {
    work.catch((thrown: unknown) => {
      if (closing.signal.aborted || isKindredError(thrown, 'CANCELLED')) return;
      onError(toKindredError(thrown));
      retry ??= setTimeout(() => {
        retry = null;
        considerCheckpoint(true);
      }, settings.retryMs).unref();
    });
  };
  const optimizeSoon = (): void => {
    if (optimizing !== null || closing.signal.aborted || choosePartsToMerge(contents, files) === null) return;
    optimizing = optimizeAll().finally(() => (optimizing = null));
    inBackground(optimizing);
  };
  const optimizeAll = async (): Promise<void> => {
    for (;;) {
      const sources = choosePartsToMerge(contents, files);
      if (sources === null || closing.signal.aborted) return;
      const options = { threads: settings.threads, signal: closing.signal, exclusively, hold };
      await counted('merges', () => optimize(sources, contents, files, options));
    }
  };
  const considerCheckpoint = (now: boolean): void => {
    if (checkpointing || retry !== null || closing.signal.aborted) return;
    const { growing } = contents;
    const indexed = files.manifest.spec.index.kind !== 'flat';
    const large =
      growing.rows * contents.dimension * 4 >= settings.growingBytes ||
      (indexed && growing.rows >= settings.growingRows) ||
      files.log.bytes() >= settings.logBytes;
    if (!large && !now) return;
    checkpointing = true;
    inBackground(checkpointNow().finally(() => (checkpointing = false)));
  };
  optimizeSoon();

  return {
    written() {
      considerCheckpoint(false);
      if (rest !== null) rest.refresh();
      else {
        rest = setTimeout(() => {
          rest = null;
          considerCheckpoint(true);
        }, settings.restMs).unref();
      }
    },
    checkpoint: checkpointNow,
    async settle() {
      while (optimizing !== null) await optimizing;
    },
    get optimizing() {
      return optimizing !== null;
    },
    exclusively,
    async close() {
      closing.abort();
      if (rest !== null) clearTimeout(rest);
      if (retry !== null) clearTimeout(retry);
      await optimizing?.catch(() => {});
      await turn;
    },
  };
}

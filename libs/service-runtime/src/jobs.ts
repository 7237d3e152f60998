// Long work inside one process: started, watched, cancelled. Jobs live as long as the process and are few.
import { randomUUID } from 'node:crypto';
import { KindredError, notFound, toKindredError } from '@kindred/errors';
import { outlivingCall } from './call-scope.js';

/** Where a job stands. */
export type JobState = 'running' | 'succeeded' | 'failed' | 'cancelled';

/** A job as its watchers see it. `T` is what the work reports. */
export interface Job<T> {
  readonly id: string;
  readonly state: JobState;
  readonly progress: Readonly<T>;
  /** Set when `failed`. */
  readonly error: KindredError | null;
  readonly createTime: Date;
}

/** What the work is handed. */
export interface JobContext<T> {
  /** Aborted by cancellation and by the end of the process. */
  readonly signal: AbortSignal;
  /** Merges `change` into the job's progress and wakes its watchers. */
  report(change: Partial<T>): void;
}

/** The jobs of one kind. */
export interface Jobs<T> {
  /** Starts `work`; RESOURCE_EXHAUSTED when as many run as may. */
  start(initial: T, work: (context: JobContext<T>) => Promise<Partial<T> | void>): Job<T>;
  /** NOT_FOUND for an unknown id. */
  get(id: string): Job<T>;
  /** Yields the job now and after each change (changes that a slow reader misses are skipped), last when it has ended. */
  watch(id: string, signal: AbortSignal): AsyncGenerator<Job<T>, void, undefined>;
  /** Cancels a running job; no effect on an ended one. */
  cancel(id: string): Job<T>;
  /** Cancels all and waits for them. */
  close(): Promise<void>;
}

interface Entry<T> {
  job: Job<T>;
  version: number;
  readonly abort: AbortController;
  readonly ended: Promise<void>;
  waiters: Array<() => void>;
}

/** Makes an empty set of jobs. `kind` names them in errors; at most `maxRunning` run, at most 1,000 ended are kept. */
export function createJobs<T extends object>(kind: string, maxRunning: number): Jobs<T> {
  const entries = new Map<string, Entry<T>>();

  const entryOf = (id: string): Entry<T> => {
    const entry = entries.get(id);
    if (entry === undefined) throw notFound(kind, id);
    return entry;
  };
  const change = (entry: Entry<T>, update: Partial<Job<T>>): void => {
    entry.job = { ...entry.job, ...update };
    entry.version++;
    for (const wake of entry.waiters.splice(0)) wake();
  };
  const running = (): number => [...entries.values()].filter(({ job }) => job.state === 'running').length;
  const dropOldest = (): void => {
    const ended = [...entries.values()].filter(({ job }) => job.state !== 'running');
    for (const { job } of ended.slice(0, Math.max(0, ended.length - 1000))) entries.delete(job.id);
  };

  return {
    start(initial, work) {
      if (running() >= maxRunning) {
        throw new KindredError('RESOURCE_EXHAUSTED', `${maxRunning} ${kind}s run already; wait for one to end`, {
          retryAfterMs: 1000,
        });
      }
      const abort = new AbortController();
      const job: Job<T> = {
        id: randomUUID(),
        state: 'running',
        progress: initial,
        error: null,
        createTime: new Date(),
      };
      let finish = (): void => {};
      const ended = new Promise<void>((resolve) => (finish = resolve));
      const entry: Entry<T> = { job, version: 0, abort, ended, waiters: [] };
      entries.set(job.id, entry);
      const report = (update: Partial<T>): void => change(entry, { progress: { ...entry.job.progress, ...update } });
      void (async () => {
        try {
          // The job outlives the call that starts it.
          const last = await outlivingCall(() => work({ signal: abort.signal, report }));
          change(entry, { state: 'succeeded', progress: { ...entry.job.progress, ...last } });
        } catch (thrown) {
          if (abort.signal.aborted) change(entry, { state: 'cancelled' });
          else change(entry, { state: 'failed', error: toKindredError(thrown) });
        } finally {
          finish();
          dropOldest();
        }
      })();
      return entry.job;
    },
    get: (id) => entryOf(id).job,
    async *watch(id, signal) {
      const entry = entryOf(id);
      for (;;) {
        const { job, version } = entry;
        yield job;
        if (job.state !== 'running') return;
        while (entry.version === version) {
          if (signal.aborted) return;
          await new Promise<void>((resolve) => {
            const wake = (): void => {
              signal.removeEventListener('abort', wake);
              resolve();
            };
            signal.addEventListener('abort', wake, { once: true });
            entry.waiters.push(wake);
          });
        }
      }
    },
    cancel(id) {
      const entry = entryOf(id);
      entry.abort.abort();
      return entry.job;
    },
    async close() {
      for (const { abort } of entries.values()) abort.abort();
      await Promise.all([...entries.values()].map(({ ended }) => ended));
    },
  };
}

// Follows a list of the API: reads it whole, then hears of each change, from where it stopped after a lost connection.
import type { KubernetesListObject, KubernetesObject, Watch } from '@kubernetes/client-node';
import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import type { KindredError } from '@kindred/errors';
import { apiError, statusOf } from './api-errors.js';

/** Something that follows. */
export interface ListFollower {
  close(): Promise<void>;
}

/** What to follow, and who is told. */
export interface ListFollowerOptions<T extends KubernetesObject> {
  readonly watch: Pick<Watch, 'watch'>;
  readonly path: string;
  /** Which of them. @default all */
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  list(): Promise<KubernetesListObject<T>>;
  onAll(items: readonly T[]): void;
  onChange(item: T): void;
  onGone(item: T): void;
  onTrouble(error: KindredError | null): void;
  /** Pause after a first failure, in milliseconds; doubled by each that follows. @default 500 */
  readonly firstPauseMs?: number;
  /** The longest pause, in milliseconds. @default 10_000 */
  readonly maxPauseMs?: number;
}

/** The server ends a watch after this long, so that a connection that died unseen is found out. */
const watchSeconds = 240;
/** Where a watch stops telling from: the changes since then are no longer kept. */
const gone = 410;

/** Starts following. */
export function followList<T extends KubernetesObject>(options: ListFollowerOptions<T>): ListFollower {
  const { firstPauseMs = 500, maxPauseMs = 10_000 } = options;
  const closing = new AbortController();
  const run = async (): Promise<void> => {
    let from: string | null = null;
    let failures = 0;
    const pause = (ms: number) => delay(Math.max(0, ms), undefined, { signal: closing.signal }).catch(() => {});
    while (!closing.signal.aborted) {
      const began = performance.now();
      try {
        if (from === null) {
          const { items, metadata } = await options.list();
          options.onAll(items);
          from = metadata?.resourceVersion ?? '';
          options.onTrouble(null);
        }
        const { resourceVersion, failure, opened }: WatchEnd = await watchFrom(options, from, closing.signal);
        from = resourceVersion;
        if (opened) failures = 0;
        if (failure !== null) throw failure;
        // A server that ends each watch at once, or has forgotten what it has just told, is not asked without a pause.
        await pause(firstPauseMs - (performance.now() - began));
      } catch (thrown) {
        if (closing.signal.aborted) return;
        if (statusOf(thrown) === gone) {
          from = null;
          await pause(firstPauseMs - (performance.now() - began));
          continue;
        }
        options.onTrouble(apiError(thrown, `watch ${options.path}`));
        await pause(Math.min(maxPauseMs, firstPauseMs * 2 ** failures++));
      }
    }
  };
  const running = run();
  return {
    async close() {
      closing.abort();
      await running;
    },
  };
}

interface WatchEnd {
  /** Where the next one goes on. */
  readonly resourceVersion: string;
  /** Null: the server ended it as agreed. */
  readonly failure: unknown;
  /** Whether it was heard of at all. */
  readonly opened: boolean;
}

/** One watch, to its end. */
function watchFrom<T extends KubernetesObject>(
  { watch, path, labelSelector, fieldSelector, onChange, onGone, onTrouble }: ListFollowerOptions<T>,
  from: string,
  signal: AbortSignal,
): Promise<WatchEnd> {
  return new Promise((resolve) => {
    let resourceVersion = from;
    let failure: unknown = null;
    let [opened, over, ended] = [false, false, false];
    let controller: AbortController | null = null;
    let lines = 0;
    const finish = (error: unknown): void => {
      over = true;
      signal.removeEventListener('abort', stop);
      resolve({ resourceVersion, failure: failure ?? error ?? null, opened });
    };
    const stop = (): void => {
      controller?.abort();
      finish(null);
    };
    // The client tells of the end as soon as all bytes are there, and of their last lines, among them a 410, after it.
    const end = async (error: unknown): Promise<void> => {
      ended = true;
      for (let still = 0; still < 3 && !over;) {
        const before = lines;
        await setImmediate();
        still = lines === before ? still + 1 : 0;
      }
      finish(error);
    };
    const heard = (type: string, object: T & { readonly code?: number }): void => {
      if (over) return;
      lines++;
      if (type === 'ERROR') {
        failure = { statusCode: object.code ?? gone };
        return;
      }
      resourceVersion = object.metadata?.resourceVersion ?? resourceVersion;
      if (type === 'ADDED' || type === 'MODIFIED') onChange(object);
      if (type === 'DELETED') onGone(object);
    };
    const query = {
      labelSelector,
      fieldSelector,
      resourceVersion,
      allowWatchBookmarks: true,
      timeoutSeconds: watchSeconds,
    };
    signal.addEventListener('abort', stop, { once: true });
    watch
      .watch(path, query, heard, (error) => void end(error))
      .then((made) => {
        // The client also resolves where it never got through; the end was told before.
        if (over || ended) return made.abort();
        controller = made;
        opened = true;
        onTrouble(null);
      }, finish);
  });
}

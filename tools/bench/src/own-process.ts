// Our side: a child process that runs this repository's code, with the same requests and answers as a peer.
import { once } from 'node:events';
import { KindredError } from '@kindred/errors';
import { forkProcess, type WorkerEntry } from '@kindred/workers';
import type { Contestant, RoundResult } from './contestant.js';
import { pinToCore } from './core-pinning.js';
import { deviceMemoryMiB } from './device-memory.js';
import { peakMemoryMiB } from './peak-memory.js';

/** What the child sends once it has warmed up. */
export interface OwnReady {
  readonly ready: true;
  readonly versions: Readonly<Record<string, string>>;
}

/** Starts `entry`, hands it `options` and waits for its {@link OwnReady}. */
export async function startOwn(
  entry: WorkerEntry,
  options: unknown,
  { core, env = {} }: { readonly core?: number; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Contestant> {
  const child = forkProcess(entry, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  if (core !== undefined && child.pid !== undefined) pinToCore(child.pid, core);
  const failed = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      reject(new KindredError('UNAVAILABLE', `${entry.filename} ended (${signal ?? `exit code ${code}`})`)),
    );
  });
  failed.catch(() => {});
  const exchange = async <T>(message: unknown): Promise<T> => {
    const answered = once(child, 'message');
    child.send(message as object);
    const [answer] = (await Promise.race([answered, failed])) as [T];
    return answer;
  };

  const { versions } = await exchange<OwnReady>({ options });
  return {
    versions,
    round: (steps) => exchange<RoundResult>({ steps }),
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.disconnect();
      await once(child, 'exit');
    },
  };
}

/**
 * The child's half of {@link startOwn}. `prepare` gets the options, warms up, and returns the work of a round, which
 * returns how many items it made.
 */
export function serveRounds<Options>(
  prepare: (options: Options) => Promise<{
    readonly versions: Readonly<Record<string, string>>;
    readonly round: (steps: number) => number | Promise<number>;
    /** Whether what it holds of the GPU's memory is told, too. @default false */
    readonly usesGpu?: boolean;
  }>,
): void {
  let round: ((steps: number) => number | Promise<number>) | null = null;
  let usesGpu = false;
  const handle = async (message: {
    readonly options?: Options;
    readonly steps?: number;
  }): Promise<OwnReady | RoundResult> => {
    if (round === null) {
      const prepared = await prepare(message.options as Options);
      ({ round, usesGpu = false } = prepared);
      return { ready: true, versions: prepared.versions };
    }
    const begin = performance.now();
    const items = await round(message.steps ?? 0);
    const seconds = (performance.now() - begin) / 1000;
    return { seconds, items, peakMiB: peakMemoryMiB(), deviceMiB: usesGpu ? deviceMemoryMiB(process.pid) : null };
  };
  process.on('message', (message) => {
    handle(message as Parameters<typeof handle>[0]).then(
      (answer) => process.send?.(answer),
      (thrown: unknown) => {
        console.error(thrown);
        process.exit(1);
      },
    );
  });
}

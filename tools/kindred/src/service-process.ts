// One service as a child process: started, watched, started again when it dies, drained at the end.
import type { ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { KindredError } from '@kindred/errors';
import type { ServiceName } from '@kindred/service-runtime';
import { endOf, forkLogged, portOf, readyMessage } from './child.js';
import type { ServiceRecord } from './data-folder.js';
import { logTail } from './log-tail.js';

/** What is run, and how. */
export interface ServiceProcessOptions {
  readonly name: ServiceName;
  /** The bundle's main file. */
  readonly entry: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly logFile: string;
  /** gRPC port; 0: any free one, and the same again after a restart. */
  readonly port: number;
  readonly metricsPort: number;
  /** Told of each change. */
  readonly onChange: (change: ServiceChange) => void;
  /** First pause before a restart, doubled with each failure in a row up to 30 s. @default 500 */
  readonly backoffMs?: number;
  /** Longest wait for a service to be ready. @default 60000 */
  readonly readyTimeoutMs?: number;
}

/** What happened to a service. */
export type ServiceChange =
  | { readonly kind: 'ready'; readonly name: ServiceName; readonly restarted: boolean }
  | {
      readonly kind: 'died';
      readonly name: ServiceName;
      /** `signal SIGKILL` or `exit code 1`. */
      readonly reason: string;
      readonly lastLines: readonly string[];
      readonly restartInMs: number;
    };

/** A service that is kept running. */
export interface ServiceProcess {
  readonly name: ServiceName;
  record(): ServiceRecord;
  /** SIGTERM, then SIGKILL after `timeoutMs`; returns when the process is gone. */
  stop(timeoutMs: number): Promise<void>;
  /** SIGKILL at once. */
  kill(): void;
}

const maxBackoffMs = 30_000;
/** A service that has lived this long is taken to be sound: the next failure is its first. */
const soundAfterMs = 30_000;
const lastLineCount = 12;

/** Starts a service and waits until it listens. @throws KindredError UNAVAILABLE with its last log lines. */
export async function startServiceProcess(options: ServiceProcessOptions): Promise<ServiceProcess> {
  const { name, onChange, backoffMs = 500 } = options;
  const stopping = new AbortController();
  let { port, metricsPort } = options;
  let record: ServiceRecord = { address: '', metricsAddress: '', pid: null, state: 'starting' };
  let child: ChildProcess | null = null;

  /** Starts one process; `ended` resolves when it is gone. */
  const launch = async (): Promise<{ readonly ended: Promise<string>; readonly logStart: number }> => {
    const { child: started, logStart } = forkLogged(options, port, metricsPort);
    child = started;
    const ended = endOf(started);
    const ready = await Promise.race([
      readyMessage(started),
      ended,
      delay(options.readyTimeoutMs ?? 60_000, 'no answer', { signal: stopping.signal, ref: false }).catch(
        () => 'stopped',
      ),
    ]);
    if (typeof ready === 'string') {
      started.kill('SIGKILL');
      throw new StartFailure(ready, await logTail(options.logFile, logStart, lastLineCount));
    }
    port = portOf(ready.address);
    metricsPort = portOf(ready.metricsAddress);
    record = {
      address: ready.address,
      metricsAddress: ready.metricsAddress,
      pid: started.pid ?? null,
      state: 'running',
    };
    return { ended, logStart };
  };

  const keepRunning = async (first: Awaited<ReturnType<typeof launch>>): Promise<void> => {
    let current: typeof first | null = first;
    let failures = 0;
    let startedAt = Date.now();
    while (!stopping.signal.aborted) {
      let reason: string;
      let lastLines: readonly string[];
      if (current !== null) {
        reason = await current.ended;
        lastLines = await logTail(options.logFile, current.logStart, lastLineCount);
        if (Date.now() - startedAt > soundAfterMs) failures = 0;
      } else {
        startedAt = Date.now();
        try {
          current = await launch();
          onChange({ kind: 'ready', name, restarted: true });
          continue;
        } catch (thrown) {
          if (!(thrown instanceof StartFailure)) throw thrown;
          ({ reason, lastLines } = thrown);
        }
      }
      if (stopping.signal.aborted) return;
      current = null;
      const restartInMs = Math.min(maxBackoffMs, backoffMs * 2 ** failures++);
      record = { ...record, pid: null, state: 'restarting' };
      onChange({ kind: 'died', name, reason, lastLines, restartInMs });
      await delay(restartInMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  };

  const first = await launch().catch((thrown: unknown) => {
    if (!(thrown instanceof StartFailure)) throw thrown;
    const said = thrown.lastLines.length === 0 ? '' : `\n${thrown.lastLines.join('\n')}`;
    throw new KindredError(
      'UNAVAILABLE',
      `service ${name} did not start (${thrown.reason}); log: ${options.logFile}${said}`,
      {
        resource: { type: 'service', name },
      },
    );
  });
  onChange({ kind: 'ready', name, restarted: false });
  const kept = keepRunning(first);

  return {
    name,
    record: () => record,
    async stop(timeoutMs) {
      stopping.abort();
      const living = child;
      if (living !== null && living.exitCode === null && living.signalCode === null) {
        living.kill('SIGTERM');
        const timer = setTimeout(() => living.kill('SIGKILL'), timeoutMs);
        await endOf(living);
        clearTimeout(timer);
      }
      await kept;
      record = { ...record, pid: null, state: 'stopped' };
    },
    kill() {
      stopping.abort();
      child?.kill('SIGKILL');
    },
  };
}

/** A process that ended, or stayed silent, before it was ready. */
class StartFailure extends Error {
  constructor(
    readonly reason: string,
    readonly lastLines: readonly string[],
  ) {
    super(reason);
  }
}

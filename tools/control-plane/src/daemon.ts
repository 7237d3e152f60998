// A server program as a child process: what it says goes to a file, it is ended by its id.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A program that runs. */
export interface Daemon {
  readonly name: string;
  pid(): number;
  /** Starts it, again after {@link Daemon.stop}; resolves when `isReady` says so. Rejects with its last words when it ends. */
  start(): Promise<void>;
  /** Ends it. @default signal SIGTERM */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

/** How to start it. */
export interface DaemonOptions {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** File that takes what it says. */
  readonly log: string;
  /** Whether it serves yet; may reject, which means no. */
  readonly isReady: () => Promise<boolean>;
  /** How long it may take, in milliseconds. @default 120_000 */
  readonly startMs?: number;
}

const keptWords = 4000;

/** Makes a daemon that is not started yet. */
export function createDaemon({ name, program, args, log, isReady, startMs = 120_000 }: DaemonOptions): Daemon {
  let child: ChildProcess | null = null;
  const endWithParent = (): void => void child?.kill('SIGKILL');
  const lastWords = (): string => readFileSync(log, 'utf8').slice(-keptWords);
  const stop = async (signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> => {
    process.removeListener('exit', endWithParent);
    const ending = child;
    if (ending === null || ending.exitCode !== null || ending.signalCode !== null) return;
    const ended = new Promise((resolve) => ending.once('exit', resolve));
    ending.kill(signal);
    await ended;
  };
  return {
    name,
    pid: () => child?.pid ?? 0,
    async start() {
      const output = openSync(log, 'a');
      const starting = spawn(program, args, { stdio: ['ignore', output, output] });
      closeSync(output);
      child = starting;
      process.once('exit', endWithParent);
      let failure: Error | null = null;
      starting.once('error', (error) => (failure = error));
      for (const began = Date.now(); ; await delay(100)) {
        if (failure !== null || starting.exitCode !== null || starting.signalCode !== null) {
          throw new Error(`${name} ended at its start: ${String(failure ?? '')} ${lastWords()}`);
        }
        if (await isReady().catch(() => false)) return;
        if (Date.now() - began < startMs) continue;
        await stop('SIGKILL');
        throw new Error(`${name} was not ready after ${startMs} ms: ${lastWords()}`);
      }
    },
    stop,
  };
}

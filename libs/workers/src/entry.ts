// Finds a worker's entry file: `x.worker.js` beside a bundle, `x.worker.ts` (through tsx) when run from source.
import { fork, type ChildProcess, type ForkOptions } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A file to run in a thread or process, with the Node flags that it needs. */
export interface WorkerEntry {
  readonly filename: string;
  readonly execArgv: string[];
}

/**
 * Resolves the entry `name` (for example `faiss` for `faiss.worker.ts`) beside the calling module.
 * From a bundle the entry lies beside the bundle, from source beside the module.
 */
export function workerEntry(moduleUrl: string, name: string): WorkerEntry {
  const fromSource = moduleUrl.endsWith('.ts');
  const filename = fileURLToPath(new URL(`./${name}.worker.${fromSource ? 'ts' : 'js'}`, moduleUrl));
  return {
    filename,
    execArgv: fromSource
      ? ['--import', new URL('./typescript-loader.mjs', import.meta.url).href]
      : ['--enable-source-maps'],
  };
}

/** Forks `entry` as a child process with an IPC channel (structured clone: typed arrays and BigInt pass). */
export function forkProcess(
  entry: WorkerEntry,
  options: Omit<ForkOptions, 'execArgv' | 'serialization'> = {},
): ChildProcess {
  return fork(entry.filename, [], { ...options, execArgv: entry.execArgv, serialization: 'advanced' });
}

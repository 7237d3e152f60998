// Starts the program as a person does, and reads its JSON lines; for specs.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { ServiceName } from '@kindred/service-runtime';
import { dataFolder, readServicesRecord } from './data-folder.js';

/** One JSON line of the program. */
export type Line = Readonly<Record<string, unknown>>;

/** A program that runs. */
export interface StartedProgram {
  readonly child: ChildProcess;
  readonly lines: Line[];
  /** What it has said to people. */
  readonly words: () => string;
  /** Resolves with the first JSON line that `wanted` holds for. */
  line(wanted: (line: Line) => boolean): Promise<Line>;
  readonly exit: Promise<number | null>;
}

/** Starts `node …node arguments and main file… --json …words`. */
export function startProgram(
  main: readonly string[],
  words: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): StartedProgram {
  const child = spawn(process.execPath, [...main, '--json', ...words], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: Line[] = [];
  const waiting: Array<() => void> = [];
  let text = '';
  child.stderr.on('data', (part: Buffer) => (text += part.toString()));
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(JSON.parse(line) as Line);
    for (const wake of waiting.splice(0)) wake();
  });
  const exit = once(child, 'close').then(([code]) => {
    for (const wake of waiting.splice(0)) wake();
    return code as number | null;
  });
  return {
    child,
    lines,
    words: () => text,
    exit,
    async line(wanted) {
      for (;;) {
        const found = lines.find(wanted);
        if (found !== undefined) return found;
        if (child.exitCode !== null) throw new Error(`the command ended: ${text}`);
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
  };
}

/** Ends a service of the program with the data folder `data` as a crash does. */
export async function killService(data: string, name: ServiceName): Promise<void> {
  const pid = (await readServicesRecord(dataFolder(data)))?.services[name]?.pid;
  if (typeof pid !== 'number') throw new Error(`${name} does not run in ${data}`);
  process.kill(pid, 'SIGKILL');
}

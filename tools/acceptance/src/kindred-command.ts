// The built command line as a process that speaks JSON lines.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

/** A JSON line that a command prints. */
export type Line = Record<string, unknown> & { readonly event?: string };

/** A command that runs, or has run. */
export interface KindredCommand {
  readonly child: ChildProcess;
  /** All lines so far. */
  readonly lines: readonly Line[];
  /** Its words for people so far. */
  words(): string;
  /** Exit code, once it has ended. */
  readonly exit: Promise<number>;
  /** The first line that fits; rejects when the command ends before it. */
  line(fits: (line: Line) => boolean): Promise<Line>;
}

const program = resolve(import.meta.dirname, '../../../dist/tools/kindred/main.js');

/** Starts `kindred --json WORDS` on a data folder, with `environment` beside this process's. */
export function startKindred(
  data: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): KindredCommand {
  const child = spawn(process.execPath, [program, '--data', data, '--json', ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  const lines: Line[] = [];
  const waiting = new Set<(line: Line) => void>();
  let said = '';
  child.stderr.on('data', (text: Buffer) => (said += text.toString()));
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as Line;
    lines.push(line);
    for (const look of waiting) look(line);
  });
  const exit = once(child, 'close').then(([code]) => Number(code ?? -1));
  return {
    child,
    lines,
    words: () => said,
    exit,
    async line(fits) {
      const found = new Promise<Line>((done) => waiting.add((line) => fits(line) && done(line)));
      const ended = exit.then((code) => {
        throw new Error(`kindred ${words.join(' ')} ended with ${code}: ${said}`);
      });
      return lines.find(fits) ?? Promise.race([found, ended]);
    },
  };
}

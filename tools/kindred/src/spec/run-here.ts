// Runs a command of the program inside this process, for specs of commands that need no service.
import { createProgram } from '../program.js';

/** How a command ended. */
export interface Ended {
  readonly code: number | string | null | undefined;
  /** Its last JSON line: the result, or the error. */
  readonly result: Readonly<Record<string, unknown>>;
  /** What it has said to people. */
  readonly words: string;
}

/** Runs `kindred --data DATA --json …words`; one at a time. */
export async function runHere(data: string, ...words: string[]): Promise<Ended> {
  const said = { out: '', err: '' };
  const { stdout, stderr } = process;
  const before = { out: stdout.write, err: stderr.write, code: process.exitCode };
  stdout.write = (part: string | Uint8Array) => ((said.out += String(part)), true);
  stderr.write = (part: string | Uint8Array) => ((said.err += String(part)), true);
  try {
    await createProgram().parseAsync(['--data', data, '--json', ...words], { from: 'user' });
    const last = said.out.trimEnd().split('\n').at(-1) ?? '';
    const result = JSON.parse(last === '' ? '{}' : last) as Record<string, unknown>;
    return { code: process.exitCode, result, words: said.err };
  } finally {
    stdout.write = before.out;
    stderr.write = before.err;
    process.exitCode = before.code;
  }
}

// Where words go: lines and bars for people, one JSON object a line for programs, errors as one block.
import { toKindredError } from '@kindred/errors';
import { MultiBar, type SingleBar } from 'cli-progress';
import picocolors from 'picocolors';

/** A progress bar; does nothing when there is no terminal. */
export interface Bar {
  /** Sets how much is done, and the words behind the bar. */
  update(done: number, note: string): void;
  stop(): void;
}

/** The terminal, pipe or program that reads the command. */
export interface Output {
  /** Whether a program reads: only JSON goes to stdout, words go to stderr. */
  readonly json: boolean;
  /** Whether a person looks on: bars are shown. */
  readonly interactive: boolean;
  readonly colors: ReturnType<typeof picocolors.createColors>;
  /** Writes a line for people. */
  text(line?: string): void;
  /** Writes a line for people that asks for attention. */
  warn(line: string): void;
  /** Writes `{"event": name, …fields}` for programs; nothing otherwise. */
  event(name: string, fields: Readonly<Record<string, unknown>>): void;
  /** Writes the last line for programs: the result as one object. */
  result(summary: Readonly<Record<string, unknown>>): void;
  /** Writes what went wrong. */
  error(thrown: unknown, hints?: readonly string[]): void;
  /** Shows a bar while something goes on. One at a time. */
  bar(title: string, total: number): Bar;
}

/** How to write. */
export interface OutputOptions {
  readonly json: boolean;
  /** Shows stack traces of errors. */
  readonly verbose: boolean;
  /** @default process.stdout */
  readonly stdout?: NodeJS.WriteStream;
  /** @default process.stderr */
  readonly stderr?: NodeJS.WriteStream;
}

/** Makes the output of a command. */
export function createOutput(options: OutputOptions): Output {
  const { json, verbose, stdout = process.stdout, stderr = process.stderr } = options;
  const words = json ? stderr : stdout;
  const interactive = !json && stdout.isTTY === true && stderr.isTTY === true;
  const colors = picocolors.createColors(words.isTTY === true && picocolors.isColorSupported);
  let bars: MultiBar | null = null;

  const line = (value: string): void => {
    if (bars === null) words.write(`${value}\n`);
    else {
      bars.log(`${value}\n`);
      bars.update();
    }
  };
  const jsonLine = (value: object): void => {
    stdout.write(`${JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? Number(item) : item))}\n`);
  };

  return {
    json,
    interactive,
    colors,
    text: (value = '') => line(value),
    warn: (value) => line(colors.yellow(value)),
    event: (name, fields) => {
      if (json) jsonLine({ event: name, ...fields });
    },
    result: (summary) => {
      if (json) jsonLine({ event: 'summary', ...summary });
    },
    error(thrown, hints = []) {
      bars?.stop();
      bars = null;
      const { code, message, violations, stack } = toKindredError(thrown);
      const [first = '', ...rest] = message.split('\n');
      const known = message;
      const details = violations
        .filter(({ description }) => !known.includes(description))
        .map(({ field, description }) => `${field}: ${description}`);
      const marked = stderr.isTTY === true ? picocolors.red : (text: string): string => text;
      const block = [`${marked('error')} ${first}`, ...[...rest, ...details].map((text) => `  ${text.trim()}`)];
      for (const hint of hints) block.push(`  → ${hint}`);
      if (verbose && stack !== undefined) block.push(stack);
      stderr.write(`${block.join('\n')}\n`);
      if (json) jsonLine({ event: 'error', code, message, violations });
    },
    bar(title, total) {
      if (!interactive) return { update: () => {}, stop: () => {} };
      const group = new MultiBar({
        format: '{title} {bar} {percentage}%  {note}',
        barCompleteChar: '█',
        barIncompleteChar: '░',
        barsize: 24,
        hideCursor: true,
        clearOnComplete: true,
        gracefulExit: false,
        fps: 5,
        stream: stderr,
      });
      const single: SingleBar = group.create(total, 0, { title, note: '' });
      bars = group;
      return {
        update: (done, note) => single.update(Math.min(done, total), { note }),
        stop: () => {
          if (bars === group) bars = null;
          group.update();
          group.stop();
        },
      };
    },
  };
}

/** Lines up `rows` in columns two spaces apart; `right` names the columns of numbers. */
export function table(rows: ReadonlyArray<readonly string[]>, right: readonly number[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        right.includes(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}

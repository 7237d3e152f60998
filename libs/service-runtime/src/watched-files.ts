// Files that are read again when their content changes: certificates and tokens, as a cluster mounts and replaces them.
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { KindredError } from '@kindred/errors';

/** Which files, what they mean, and who is told. */
export interface WatchOptions<T> {
  /** Paths; read together, so that a certificate and its key are judged as a pair. */
  readonly files: readonly string[];
  /** Makes the value of the files' contents, in their order. What it throws keeps the value before in use. */
  readonly parse: (contents: readonly Buffer[]) => T;
  /**
   * Pause between two looks, in milliseconds. Contents are compared, since mounted secrets are links whose times tell nothing.
   * @default 5000
   */
  readonly intervalMs?: number;
  /** Told once of each new value. */
  readonly onReplaced?: (value: T) => void;
  /** Told once of each content that cannot be used; the value before it stays. */
  readonly onRejected?: (error: KindredError) => void;
}

/** A value that follows its files. */
export interface WatchedFiles<T> {
  /** The value of the last contents that could be used. */
  current(): T;
  /** Looks at the files now instead of at the next interval. */
  check(): Promise<void>;
  /** Stops to look. */
  close(): void;
}

/**
 * Reads the files and goes on watching them, without keeping the process alive.
 * @throws KindredError FAILED_PRECONDITION naming the file when the first reading fails.
 */
export function watchFiles<T>(options: WatchOptions<T>): WatchedFiles<T> {
  const { files, parse, intervalMs = 5000, onReplaced, onRejected } = options;
  let contents = files.map((file) => naming(file, () => readFileSync(file)));
  let value = parse(contents);
  let rejected = '';

  const check = async (): Promise<void> => {
    try {
      const next = await Promise.all(
        files.map((file) => readFile(file).catch((thrown: unknown) => Promise.reject(unreadable(file, thrown)))),
      );
      if (next.every((content, i) => content.equals(contents[i] as Buffer))) {
        rejected = '';
        return;
      }
      value = parse(next);
      contents = next;
      rejected = '';
      onReplaced?.(value);
    } catch (thrown) {
      const error = thrown instanceof KindredError ? thrown : unreadable(files.join(', '), thrown);
      if (error.message !== rejected) onRejected?.(error);
      rejected = error.message;
    }
  };
  let checking: Promise<void> | null = null;
  const checkOnce = (): Promise<void> => (checking ??= check().finally(() => (checking = null)));
  const timer = setInterval(() => void checkOnce(), intervalMs);
  timer.unref();
  return { current: () => value, check: checkOnce, close: () => clearInterval(timer) };
}

function naming<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    throw unreadable(file, thrown);
  }
}

function unreadable(file: string, thrown: unknown): KindredError {
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new KindredError('FAILED_PRECONDITION', `${file} cannot be used: ${reason}`, {
    resource: { type: 'file', name: file },
    cause: thrown,
  });
}

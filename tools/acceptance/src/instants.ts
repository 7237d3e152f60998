// When to kill: at a random time, or in the instant in which a file of the run appears.
import { existsSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Whole numbers and choices from a seed (Mulberry32): the same in every run of a suite. */
export function createRandom(seed: number) {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    /** From 0 up to, not including, 1. */
    fraction: next,
    /** From 0 to `count - 1`. */
    below: (count: number): number => Math.floor(next() * count),
    choose: <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)] as T,
  };
}

/**
 * Resolves with true when, for the `count`th time, a file appears in `folder` whose name `matches`; with false when
 * `signal` aborts first. A folder that does not exist yet is waited for.
 */
export function fileAppears(
  folder: string,
  matches: (name: string) => boolean,
  count: number,
  signal: AbortSignal,
): Promise<boolean> {
  return new Promise((done) => {
    let left = count;
    const finish = (seen: boolean): void => {
      signal.removeEventListener('abort', aborted);
      watcher?.close();
      done(seen);
    };
    const aborted = (): void => finish(false);
    const seenNames = new Set<string>();
    let watcher: ReturnType<typeof watch> | null = null;
    const open = (): void => {
      if (signal.aborted) return finish(false);
      if (!existsSync(folder)) {
        setTimeout(open, 2);
        return;
      }
      watcher = watch(folder, (kind, name) => {
        if (kind !== 'rename' || name === null || seenNames.has(name) || !matches(name)) return;
        seenNames.add(name);
        if (--left === 0) finish(true);
      });
    };
    if (signal.aborted) return done(false);
    signal.addEventListener('abort', aborted);
    open();
  });
}

/** {@link fileAppears} for one file by its path. */
export function pathAppears(path: string, signal: AbortSignal): Promise<boolean> {
  return fileAppears(dirname(path), (name) => name === basename(path), 1, signal);
}

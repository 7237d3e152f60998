// Who may touch an index when: one writer alone, or any number of readers.

/** A lock of many readers or one writer; a waiting writer goes before readers that come after it. */
export interface Turns {
  /** Runs `work` while no writer is at work. */
  read<T>(work: () => Promise<T>): Promise<T>;
  /** Runs `work` alone. */
  write<T>(work: () => Promise<T>): Promise<T>;
}

/** Makes a lock that nobody holds. */
export function createTurns(): Turns {
  let lastWriter: Promise<unknown> = Promise.resolve();
  let readers: Promise<unknown>[] = [];
  const settled = (promise: Promise<unknown>): Promise<unknown> => promise.catch(() => {});

  return {
    read(work) {
      const running = lastWriter.then(work);
      const ended = settled(running);
      readers.push(ended);
      void ended.then(() => (readers = readers.filter((reader) => reader !== ended)));
      return running;
    },
    write(work) {
      const before = [lastWriter, ...readers];
      const running = Promise.all(before).then(work);
      lastWriter = settled(running);
      return running;
    },
  };
}

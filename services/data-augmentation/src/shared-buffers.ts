// Shared memory that threads write batches to, used again and again: V8 does not count it when it decides to collect garbage,
// so that a new one for each batch would make the process grow for as long as it likes.

/** Free buffers kept; more are left to the garbage collector. */
const maxKept = 16;

/** Buffers to borrow. */
export interface SharedBuffers {
  /** A buffer of exactly `bytes`; its content is what the last borrower left. */
  take(bytes: number): SharedArrayBuffer;
  /** Gives a buffer back that nobody writes to any more. */
  give(buffer: SharedArrayBuffer): void;
}

/** Makes an empty store of buffers. */
export function createSharedBuffers(): SharedBuffers {
  const free: SharedArrayBuffer[] = [];
  return {
    take(bytes) {
      const at = free.findIndex(({ byteLength }) => byteLength === bytes);
      return (at < 0 ? undefined : free.splice(at, 1)[0]) ?? new SharedArrayBuffer(bytes);
    },
    give(buffer) {
      free.push(buffer);
      if (free.length > maxKept) free.shift();
    },
  };
}

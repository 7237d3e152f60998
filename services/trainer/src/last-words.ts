// The end of what a process logs, kept in its memory so that it can be stored before the process ends.

/** Takes lines of a log. */
export interface LastWords {
  write(line: string): void;
  /** What was logged last, whole lines, UTF-8. */
  end(): Uint8Array;
}

/** Keeps up to `maxBytes`; of a line that is longer nothing. */
export function createLastWords(maxBytes: number): LastWords {
  const lines: Buffer[] = [];
  let bytes = 0;
  return {
    write(line) {
      const part = Buffer.from(line);
      lines.push(part);
      bytes += part.length;
      while (bytes > maxBytes) bytes -= lines.shift()!.length;
    },
    end: () => Buffer.concat(lines),
  };
}

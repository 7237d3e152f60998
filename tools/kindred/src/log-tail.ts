// The last words of a service, from its log file.
import { open } from 'node:fs/promises';

const maxTailBytes = 16 * 1024;

/** The last `count` lines written to `path` since byte `from`, as people read them. */
export async function logTail(path: string, from: number, count: number): Promise<string[]> {
  const file = await open(path, 'r').catch(() => null);
  if (file === null) return [];
  try {
    const { size } = await file.stat();
    const start = Math.max(from, size - maxTailBytes);
    const buffer = Buffer.alloc(Math.max(0, size - start));
    await file.read(buffer, 0, buffer.length, start);
    const lines = buffer
      .toString('utf8')
      .split('\n')
      .filter((line) => line.trim() !== '');
    return lines.slice(-count).map(readable);
  } finally {
    await file.close();
  }
}

/** A structured log line in words; other lines as they are. */
function readable(line: string): string {
  try {
    const { msg, err } = JSON.parse(line) as { msg?: unknown; err?: { message?: unknown } };
    const words = [msg, err?.message].filter((part) => typeof part === 'string' && part !== '');
    return words.length === 0 ? line : [...new Set(words)].join(': ');
  } catch {
    return line;
  }
}

// Files of fixed-length records: how CIFAR and STL-10 are handed out in their binary form.
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { KindredError } from '@kindred/errors';

const sliceBytes = 4 * 1024 * 1024;

/** A file whose length was found to be a whole number of records. */
export interface RecordFile {
  readonly path: string;
  readonly records: number;
}

/** The first of `root` and its subfolder `inner` that holds one of the files; NOT_FOUND when neither does. */
export async function locateFolder(root: string, inner: string, pattern: RegExp, what: string): Promise<string> {
  const candidates = [root, join(root, inner)];
  for (const folder of candidates) {
    const names = await readdir(folder).catch(() => [] as string[]);
    if (names.some((name) => pattern.test(name))) return folder;
  }
  throw new KindredError(
    'NOT_FOUND',
    `${root}: no ${what} files there or in its folder ${inner}; give the folder that holds them`,
    {
      resource: { type: 'file', name: root },
    },
  );
}

/** Checks a file's length; NOT_FOUND when it is missing, DATA_LOSS when empty or cut in mid-record. */
export async function checkRecordFile(path: string, recordBytes: number): Promise<RecordFile> {
  const found = await stat(path).catch(() => null);
  if (found === null || !found.isFile()) {
    throw new KindredError('NOT_FOUND', `${path}: is missing; the data set is not complete`, {
      resource: { type: 'file', name: path },
    });
  }
  if (found.size === 0 || found.size % recordBytes !== 0) {
    throw damagedFile(
      path,
      `got ${found.size} bytes; expected a multiple of ${recordBytes} bytes, at least one record. The file is cut short or of another kind`,
    );
  }
  return { path, records: found.size / recordBytes };
}

/** Reads a whole number of records at a time and hands each slice to `take`, with the number of its first record. */
export async function forEachSlice(
  { path, records }: RecordFile,
  recordBytes: number,
  take: (slice: Uint8Array, first: number) => void,
): Promise<void> {
  const perSlice = Math.max(1, Math.floor(sliceBytes / recordBytes));
  const buffer = new Uint8Array(Math.min(perSlice, records) * recordBytes);
  const file = await open(path);
  try {
    for (let first = 0; first < records; first += perSlice) {
      const bytes = Math.min(perSlice, records - first) * recordBytes;
      let got = 0;
      while (got < bytes) {
        const { bytesRead } = await file.read(buffer, got, bytes - got, first * recordBytes + got);
        if (bytesRead === 0) throw damagedFile(path, `ended while it was read, at byte ${first * recordBytes + got}`);
        got += bytesRead;
      }
      take(buffer.subarray(0, bytes), first);
    }
  } finally {
    await file.close();
  }
}

/** DATA_LOSS about one file. */
export function damagedFile(path: string, problem: string, cause?: unknown): KindredError {
  return new KindredError('DATA_LOSS', `${path}: ${problem}`, { resource: { type: 'file', name: path }, cause });
}

// Copies a collection's points to another collection, page by page; a copy that was stopped goes on after the last page that was stored.
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KindredError } from '@kindred/errors';
import type { Collection, Point, PointId, UpsertRequest } from '@kindred/protocol/neighbors';
import { bytesOf } from '@kindred/service-runtime';
import type { Session } from './session.js';

/** What to copy, and how. */
export interface MigrationOptions extends Pick<Session, 'neighbors' | 'signal' | 'persist'> {
  readonly source: Collection;
  readonly target: Collection;
  /** Folder of the notes that say how far copies have come. */
  readonly folder: string;
  /** Told after each page; `resumed`: points that an earlier run copied. */
  readonly onProgress: (copied: number, resumed: number) => void;
}

/** What came of it. */
export interface MigrationResult {
  /** Points in both. */
  readonly size: bigint;
  readonly resumed: number;
  /** Points that were missing in the copy, or were there and not in the collection. */
  readonly repaired: number;
}

/** Points of a page: at most 16 MiB of vectors, and not more than the index gives at once. */
const pageBytes = 16 * 1024 * 1024;
const pagePoints = 2_000;
const idsPage = 10_000;

interface Note {
  /** Of which two: collections that were made anew are others. */
  readonly of: string;
  readonly after: string;
  readonly copied: number;
}

/**
 * Copies all points, then compares counts and, where they differ, ids. Points are stored by their ids, so that doing a page twice changes
 * nothing. FAILED_PRECONDITION when the two still differ: someone writes to one of them.
 */
export async function migrateCollection(options: MigrationOptions): Promise<MigrationResult> {
  const { neighbors, source, target, folder, signal, persist, onProgress } = options;
  const file = join(folder, `${source.collection}--${target.collection}.json`);
  const of = [source, target].map(({ collection, createTime }) => `${collection}@${createTime?.getTime()}`).join(' ');
  const note = await readNote(file, of);
  const limit = Math.max(1, Math.min(pagePoints, Math.floor(pageBytes / (4 * source.config!.dimension))));
  let after = note === null ? undefined : idOfText(note.after);
  let copied = note?.copied ?? 0;
  const resumed = copied;
  await mkdir(folder, { recursive: true });
  for (let more = true; more;) {
    signal.throwIfAborted();
    const from = after;
    const { points, next } = await persist(() =>
      neighbors.scroll(
        { collection: source.collection, after: from, limit, includeVectors: true, includePayloads: true },
        { signal },
      ),
    );
    await persist(() => store(options, points));
    copied += points.length;
    after = points.at(-1)?.id ?? after;
    if (after !== undefined) await writeNote(file, { of, after: textOfId(after), copied });
    onProgress(copied, resumed);
    more = next !== undefined;
  }

  let sizes = await persist(() => countBoth(options));
  let repaired = 0;
  if (sizes[0] !== sizes[1]) {
    repaired = await persist(() => repair(options));
    sizes = await persist(() => countBoth(options));
  }
  if (sizes[0] !== sizes[1]) {
    throw new KindredError(
      'FAILED_PRECONDITION',
      `${source.collection} holds ${sizes[0]} points, ${target.collection} ${sizes[1]}; stop writing to both, then repeat this`,
    );
  }
  await rm(file, { force: true });
  return { size: sizes[0], resumed, repaired };
}

async function countBoth({ neighbors, source, target, signal }: MigrationOptions): Promise<[bigint, bigint]> {
  const counts = await Promise.all(
    [source, target].map(({ collection }) => neighbors.count({ collection }, { signal })),
  );
  return [counts[0]!.count, counts[1]!.count];
}

/** Stores points; numbers and texts take messages of their own. */
async function store({ neighbors, target, signal }: MigrationOptions, points: readonly Point[]): Promise<void> {
  const messages = [
    message(
      target.collection,
      points.filter(({ id }) => id?.id?.$case === 'number'),
    ),
    message(
      target.collection,
      points.filter(({ id }) => id?.id?.$case === 'text'),
    ),
  ].filter((one) => one !== null);
  if (messages.length === 0) return;
  await neighbors.upsert(
    (async function* () {
      yield* messages;
    })(),
    { signal },
  );
}

function message(collection: string, points: readonly Point[]): Partial<UpsertRequest> | null {
  if (points.length === 0) return null;
  const ids = points.map(({ id }) => id!.id!.value);
  return {
    collection,
    ids: bytesOf(BigUint64Array.from(ids.filter((id) => typeof id === 'bigint'))),
    texts: ids.filter((id) => typeof id === 'string'),
    vectors: Buffer.concat(points.map(({ vector }) => vector)),
    labels: bytesOf(Int32Array.from(points, ({ label }) => label)),
    payloads: points.some(({ payload }) => payload !== '') ? points.map(({ payload }) => payload) : [],
  };
}

/** Walks both in their common order; copies what is missing, deletes what is too much. */
async function repair(options: MigrationOptions): Promise<number> {
  const { neighbors, source, target, signal } = options;
  const [wanted, there] = [idsOf(options, source), idsOf(options, target)];
  const missing: PointId[] = [];
  const extra: PointId[] = [];
  let [a, b] = [await wanted.next(), await there.next()];
  while (!a.done || !b.done) {
    const order = a.done ? 1 : b.done ? -1 : compare(a.value, b.value);
    if (order < 0) missing.push(a.value!);
    if (order > 0) extra.push(b.value!);
    if (order <= 0) a = await wanted.next();
    if (order >= 0) b = await there.next();
  }
  for (let start = 0; start < missing.length; start += 500) {
    const page = columns(missing.slice(start, start + 500));
    const { points } = await neighbors.get(
      { collection: source.collection, ...page, includeVectors: true, includePayloads: true },
      { signal },
    );
    await store(options, points);
  }
  for (let start = 0; start < extra.length; start += idsPage) {
    const page = columns(extra.slice(start, start + idsPage));
    await neighbors.delete({ collection: target.collection, ...page }, { signal });
  }
  return missing.length + extra.length;
}

async function* idsOf(
  { neighbors, signal }: MigrationOptions,
  { collection }: Collection,
): AsyncGenerator<PointId, undefined> {
  let after: PointId | undefined;
  do {
    const page = await neighbors.scroll({ collection, after, limit: idsPage }, { signal });
    for (const { id } of page.points) yield id!;
    after = page.next;
  } while (after !== undefined);
  return undefined;
}

function columns(ids: readonly PointId[]) {
  const values = ids.map(({ id }) => id!.value);
  return {
    ids: bytesOf(BigUint64Array.from(values.filter((value) => typeof value === 'bigint'))),
    texts: values.filter((value) => typeof value === 'string'),
  };
}

/** Scroll's order: numbers ascending, then texts by their UTF-8 bytes. */
function compare({ id: a }: PointId, { id: b }: PointId): number {
  if (a?.$case === 'number') return b?.$case !== 'number' || a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
  if (b?.$case === 'number') return 1;
  return Buffer.compare(Buffer.from(a?.value ?? ''), Buffer.from(b?.value ?? ''));
}

function textOfId({ id }: PointId): string {
  return id?.$case === 'number' ? `number ${id.value}` : `text ${id?.value ?? ''}`;
}

function idOfText(text: string): PointId {
  if (text.startsWith('number ')) return { id: { $case: 'number', value: BigInt(text.slice(7)) } };
  return { id: { $case: 'text', value: text.slice(5) } };
}

async function readNote(file: string, of: string): Promise<Note | null> {
  try {
    const note = JSON.parse(await readFile(file, 'utf8')) as Note;
    return note.of === of && typeof note.after === 'string' ? note : null;
  } catch {
    return null;
  }
}

async function writeNote(file: string, note: Note): Promise<void> {
  await writeFile(`${file}.new`, `${JSON.stringify(note)}\n`);
  await rename(`${file}.new`, file);
}

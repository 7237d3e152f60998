// A collection of the embedded engine: every change in the log before it is seen, every search on a moment's rows.
import { KindredError, notFound, toKindredError } from '@kindred/errors';
import type { Filter } from '@kindred/protocol/neighbors';
import type { Collection, Written } from '../engine/engine.js';
import type { Included, PointId, PointRecord, Points } from '../engine/points.js';
import { compileFilter } from '../filter.js';
import { metrics } from '../metrics.js';
import type { Disk } from '../storage/disk.js';
import { deletionsOf, type Change } from '../storage/log-record.js';
import type { Files } from './checkpoint.js';
import { countBits } from './alive-rows.js';
import { applyChange, memoryOf, partsOf, type Contents } from './contents.js';
import { startMaintenance, type HoldMemory, type Maintenance, type MaintenanceSettings } from './maintenance.js';
import { openFiles, type OpenOptions } from './open-files.js';
import { idOf, locate, nextTurn, pointBytes, type Part } from './part.js';
import { searchable, searchParts } from './search-parts.js';
import { idsAfter } from './sorted-ids.js';
import { testedRow } from './filter-bits.js';

/** Points that are looked at before other work of the process gets a turn. */
const pointsPerTurn = 10_000;

/** What its engine needs of it, beside the contract. */
export interface EmbeddedCollection extends Collection {
  readonly contents: Contents;
  readonly files: Files;
  readonly maintenance: Maintenance;
  /** Bytes of memory, as accounted. */
  memoryBytes(): number;
  diskBytes(): number;
  close(): Promise<void>;
}

/** What a collection lives on. */
export interface EmbeddedCollectionParts extends OpenOptions {
  readonly disk: Disk;
  readonly folder: string;
  readonly maintenance: MaintenanceSettings;
}

/** Opens a collection. DATA_LOSS, naming the file, when it is damaged. */
export async function openEmbeddedCollection(
  name: string,
  parts: EmbeddedCollectionParts,
): Promise<EmbeddedCollection> {
  const { contents, files, notes } = await openFiles(parts.disk, parts.folder, parts);
  const { spec } = files.manifest;
  const hold: HoldMemory = (bytes, what, bound) => parts.quotas.hold(bytes, `${what} of collection '${name}'`, bound);
  const maintenance = startMaintenance(contents, files, { ...parts, hold }, parts.maintenance);
  let closed = false;

  const open = (): void => {
    if (closed) throw notFound('collection', name);
  };
  const write = async (changes: readonly Change[] | (() => readonly Change[])): Promise<Written> => {
    try {
      const written = await files.log.append(changes, (sequence, changes) => {
        const count = changes.reduce((sum, change) => sum + applyChange(contents, change), 0);
        return { count, size: contents.size, sequence };
      });
      maintenance.written();
      return written;
    } catch (thrown) {
      const error = toKindredError(thrown);
      if (error.code !== 'RESOURCE_EXHAUSTED') throw error;
      throw new KindredError(
        'RESOURCE_EXHAUSTED',
        `collection '${name}': ${error.message}; nothing of this write was stored`,
        {
          resource: { type: 'collection', name },
          cause: thrown,
        },
      );
    }
  };
  const record = (part: Part, row: number, include: Included): PointRecord => ({
    id: idOf(part, row),
    label: part.labels[row]!,
    vector: include.vectors ? part.vectors.slice(row * spec.dimension, (row + 1) * spec.dimension) : null,
    payload: include.payloads ? part.payload(row) : '',
  });

  const memoryBytes = (): number => memoryOf(contents);
  const diskBytes = (): number =>
    files.log.bytes() + files.manifest.segments.reduce((sum, { bytes, index }) => sum + bytes + (index?.bytes ?? 0), 0);

  return {
    name,
    spec,
    createTime: new Date(files.manifest.createTime),
    contents,
    files,
    maintenance,
    size: async () => contents.size,
    hasLabels: async () => contents.labelled > 0,
    memoryBytes,
    diskBytes,
    async upsert(points, signal) {
      open();
      signal.throwIfAborted();
      if (points.length === 0) return { count: 0, size: contents.size, sequence: files.log.lastSequence };
      const giveBack = parts.quotas.reserve(
        growthOf(contents, points),
        points.reduce((sum, one) => sum + bytesOf(one), 0),
      );
      try {
        return await write(points.map((one) => ({ kind: 'upsert', points: one })));
      } finally {
        giveBack();
      }
    },
    async delete({ ids, filter }, signal) {
      open();
      if (ids === null) {
        const seen = await matching(contents, filter, signal);
        return write(() => deletionsOf(stillMatching(contents, filter, seen)));
      }
      const changes = deletionsOf(ids);
      if (changes.length === 0) return { count: 0, size: contents.size, sequence: files.log.lastSequence };
      return write(changes);
    },
    async get(ids, include) {
      open();
      const all = partsOf(contents);
      return ids.flatMap((id) => {
        const found = locate(all, id);
        if (found === null) return [];
        include.budget?.take(pointBytes(found.part, found.row, id, include));
        return [record(found.part, found.row, include)];
      });
    },
    async scroll({ after, limit, filter, include }, signal) {
      open();
      const compiled = filter === null ? null : compileFilter(filter);
      const points: PointRecord[] = [];
      let seen = 0;
      for (const { id, part, row } of idsAfter(partsOf(contents), after)) {
        if (++seen % pointsPerTurn === 0) {
          await nextTurn();
          signal.throwIfAborted();
        }
        if (compiled !== null && !compiled.test(testedRow(compiled, part, row))) continue;
        const full = points.length === limit || include.budget?.fits(pointBytes(part, row, id, include)) === false;
        // A page of no points would have no end to go on from; one point fits a message (65,536 numbers and a payload).
        if (full && points.length > 0) return { points, next: points.at(-1)!.id };
        points.push(record(part, row, include));
      }
      return { points, next: null };
    },
    async count(filter, signal) {
      open();
      if (filter === null) return contents.size;
      const found = await searchable(contents, filter, signal);
      return found.reduce((sum, { rows, allowed }) => sum + (allowed === null ? rows : countBits(allowed, rows)), 0);
    },
    async search(query, signal) {
      open();
      const end = metrics.searchSeconds.startTimer({ collection: name, kind: spec.index.kind });
      const hits = await searchParts(contents, spec, query, signal);
      end();
      return hits;
    },
    async table(signal) {
      open();
      const size = contents.size;
      const table = { labels: new Int32Array(size), vectors: new Float32Array(size * spec.dimension) };
      let at = 0;
      for (const { part, row } of idsAfter(partsOf(contents), null)) {
        if (at % pointsPerTurn === pointsPerTurn - 1) {
          await nextTurn();
          signal.throwIfAborted();
        }
        if (at === size) break;
        table.labels[at] = part.labels[row]!;
        table.vectors.set(part.vectors.subarray(row * spec.dimension, (row + 1) * spec.dimension), at * spec.dimension);
        at++;
      }
      return { labels: table.labels.subarray(0, at), vectors: table.vectors.subarray(0, at * spec.dimension) };
    },
    async stats() {
      open();
      const all = partsOf(contents);
      const segments = contents.sealed.map(({ part, entry }) => ({
        segment: entry.number,
        rows: part.rows,
        deleted: part.alive.dead,
        indexed: part.index !== null,
        diskBytes: entry.bytes + (entry.index?.bytes ?? 0),
      }));
      return {
        size: contents.size,
        labelled: contents.labelled,
        deletedRows: all.reduce((sum, { alive }) => sum + alive.dead, 0),
        indexedRows: segments.reduce((sum, { rows, indexed }) => sum + (indexed ? rows : 0), 0),
        segments,
        growingRows: [...contents.frozen, contents.growing].reduce((sum, { rows }) => sum + rows, 0),
        memoryBytes: memoryBytes(),
        diskBytes: diskBytes(),
        logBytes: files.log.bytes(),
        lastSequence: files.log.lastSequence,
        recovery: notes,
        optimizing: maintenance.optimizing,
        nodes: [],
      };
    },
    async close() {
      if (closed) return;
      closed = true;
      await maintenance.close();
      await files.log.close();
      for (const { part } of contents.sealed) part.index?.close();
    },
  };
}

/** Where a point was when it was seen to match. */
interface Seen {
  readonly id: PointId;
  readonly part: Part;
  readonly row: number;
}

async function matching(contents: Contents, filter: Filter, signal: AbortSignal): Promise<Seen[]> {
  const seen: Seen[] = [];
  for (const { part, rows, allowed } of await searchable(contents, filter, signal)) {
    for (let row = 0; row < rows; row++) {
      if (allowed === null || (allowed[row >> 3]! & (1 << (row & 7))) !== 0)
        seen.push({ id: idOf(part, row), part, row });
    }
    await nextTurn();
  }
  return seen;
}

/** Those of the points that match now: one that was stored again since, or whose part was merged, is looked at again. */
function stillMatching(contents: Contents, filter: Filter, seen: readonly Seen[]): PointId[] {
  const compiled = compileFilter(filter);
  const parts = partsOf(contents);
  return seen.flatMap(({ id, part, row }) => {
    const now = locate(parts, id);
    if (now === null) return [];
    if (now.part === part && now.row === row) return [id];
    return compiled.test(testedRow(compiled, now.part, now.row)) ? [id] : [];
  });
}

/** Points that are new. */
function growthOf(contents: Contents, points: readonly Points[]): number {
  const parts = partsOf(contents);
  let growth = 0;
  for (const { ids } of points) for (const id of ids) if (locate(parts, id) === null) growth++;
  return growth;
}

function bytesOf({ vectors, ids, payloads }: Points): number {
  return vectors.byteLength + 48 * ids.length + payloads.reduce((sum, { length }) => sum + length, 0);
}

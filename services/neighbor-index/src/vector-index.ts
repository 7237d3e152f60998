// One index: vectors in faiss, ids and labels beside them, every change on disk before it is seen.
import type { ArtifactStore } from '@kindred/artifact-store';
import { KindredError } from '@kindred/errors';
import type { FaissEngine, FaissIndex } from '@kindred/faiss-native';
import { readSegment, writeManifest, writeSegments, type Manifest, type Rows } from './segment.js';
import { createTurns } from './turns.js';

/** More segments than this are written anew as few. */
const maxSegments = 64;
/** Rows that are worked on before other work of the process gets a turn. */
const rowsPerTurn = 50_000;

/** Neighbours with what the index knows of them, [queries, k] each, best first. */
export interface LabelledNeighbours {
  readonly k: number;
  /** Neighbours of each query, at most k, [queries]; the places after them are empty, with label -1. */
  readonly counts: Uint32Array;
  readonly ids: BigUint64Array;
  readonly scores: Float32Array;
  readonly labels: Int32Array;
}

/** An index that is loaded. */
export interface VectorIndex {
  readonly id: string;
  readonly manifest: Manifest;
  readonly size: number;
  /** Vectors with a label. */
  readonly labelled: number;
  /**
   * Stores rows with distinct ids, replacing rows of the same id. `reserve` is told how many vectors the index grows by before
   * anything is written, and may throw.
   */
  upsert(rows: Rows, reserve: (growth: number) => void): Promise<void>;
  /** The nearest vectors of each of `queries`, [n, dimension]. */
  search(queries: Float32Array, k: number, signal: AbortSignal): Promise<LabelledNeighbours>;
  /** A copy of all rows by ascending id, read from disk. */
  sortedRows(): Promise<Rows>;
  /** Frees the memory; calls after it fail with NOT_FOUND. */
  close(): Promise<void>;
}

/** What an index lives on. */
export interface VectorIndexParts {
  readonly store: ArtifactStore;
  readonly engine: FaissEngine;
  /** Told of a clean-up that failed; the index is whole all the same. */
  readonly onCompactionError: (error: unknown) => void;
}

/** Opens the index that `manifest` describes. DATA_LOSS, naming the file, when a segment is damaged. */
export async function openVectorIndex(id: string, initial: Manifest, parts: VectorIndexParts): Promise<VectorIndex> {
  const { store, engine, onCompactionError } = parts;
  const { dimension } = initial;
  const faiss: FaissIndex = await engine.createIndex({ dimension });
  const turns = createTurns();
  const writers = createTurns();
  let manifest = initial;
  let closed = false;
  let ids: bigint[] = [];
  let labels: number[] = [];
  let positions = new Map<bigint, number>();
  let labelled = 0;

  const apply = async (rows: Rows): Promise<void> => {
    const replaced = rows.ids.reduce<number[]>((found, rowId) => {
      const position = positions.get(rowId);
      if (position !== undefined) found.push(position);
      return found;
    }, []);
    if (replaced.length > 0) await removeAt(replaced.sort((a, b) => a - b));
    await faiss.add(rows.vectors);
    for (let row = 0; row < rows.ids.length; row++) {
      if (row % rowsPerTurn === rowsPerTurn - 1) await nextTurn();
      positions.set(rows.ids[row]!, ids.length);
      ids.push(rows.ids[row]!);
      labels.push(rows.labels[row]!);
      if (rows.labels[row]! >= 0) labelled++;
    }
  };
  const removeAt = async (removed: number[]): Promise<void> => {
    await faiss.remove(Int32Array.from(removed));
    const gone = new Set(removed);
    const keptIds: bigint[] = [];
    const keptLabels: number[] = [];
    positions = new Map();
    for (let position = 0; position < ids.length; position++) {
      if (position % rowsPerTurn === rowsPerTurn - 1) await nextTurn();
      if (gone.has(position)) {
        if (labels[position]! >= 0) labelled--;
        continue;
      }
      positions.set(ids[position]!, keptIds.length);
      keptIds.push(ids[position]!);
      keptLabels.push(labels[position]!);
    }
    ids = keptIds;
    labels = keptLabels;
  };
  /** All rows as `order` places them: the newest row of each id wins. */
  const readRows = async (order: ReadonlyMap<bigint, number>): Promise<Rows> => {
    const rows: Rows = {
      ids: new BigUint64Array(order.size),
      vectors: new Float32Array(order.size * dimension),
      labels: new Int32Array(order.size),
    };
    const filled = new Uint8Array(order.size);
    for (const segment of manifest.segments.toReversed()) {
      const part = await readSegment(store, segment, dimension);
      for (let row = 0; row < part.ids.length; row++) {
        const place = order.get(part.ids[row]!);
        if (place === undefined || filled[place] === 1) continue;
        filled[place] = 1;
        rows.ids[place] = part.ids[row]!;
        rows.labels[place] = part.labels[row]!;
        rows.vectors.set(part.vectors.subarray(row * dimension, (row + 1) * dimension), place * dimension);
      }
      await nextTurn();
    }
    return rows;
  };
  const compact = async (): Promise<void> => {
    const old = manifest.segments;
    const rows = await turns.read(() => readRows(positions));
    const next = await writeSegments(store, id, { ...manifest, segments: [] }, rows);
    await turns.write(async () => {
      await writeManifest(store, id, next);
      manifest = next;
      for (const { key } of old) await store.delete(key);
    });
  };
  const open = (): void => {
    if (closed)
      throw new KindredError('NOT_FOUND', `index '${id}' was deleted`, { resource: { type: 'index', name: id } });
  };

  for (const segment of initial.segments) await apply(await readSegment(store, segment, dimension));

  return {
    id,
    get manifest() {
      return manifest;
    },
    get size() {
      return ids.length;
    },
    get labelled() {
      return labelled;
    },
    upsert: (rows, reserve) =>
      writers.write(async () => {
        open();
        if (rows.ids.length === 0) return;
        reserve(rows.ids.reduce((growth, rowId) => growth + (positions.has(rowId) ? 0 : 1), 0));
        const next = await writeSegments(store, id, manifest, rows);
        await turns.write(async () => {
          await writeManifest(store, id, next);
          manifest = next;
          await apply(rows);
        });
        // Far more segments than may be: a clean-up that failed is tried again, but not with each Upsert.
        const crowded = manifest.segments.length > maxSegments && manifest.segments.length % maxSegments === 1;
        if (crowded) await compact().catch(onCompactionError);
      }),
    search: (queries, k, signal) =>
      turns.read(async () => {
        open();
        const found = await faiss.search(queries, k, { signal });
        const { k: width, scores } = found;
        const count = found.positions.length;
        const neighbours = { ids: new BigUint64Array(count), labels: new Int32Array(count).fill(-1) };
        const counts = new Uint32Array(queries.length / dimension);
        for (let i = 0; i < count; i++) {
          if (i % rowsPerTurn === rowsPerTurn - 1) await nextTurn();
          const position = found.positions[i]!;
          // faiss fills a row's end with -1 where an inner product is no number that it can rank.
          if (position < 0) continue;
          neighbours.ids[i] = ids[position]!;
          neighbours.labels[i] = labels[position]!;
          counts[Math.floor(i / width)]!++;
        }
        return { k: width, counts, scores, ...neighbours };
      }),
    sortedRows: () =>
      turns.read(async () => {
        open();
        const sorted = BigUint64Array.from(ids).sort();
        return readRows(new Map(Array.from(sorted, (rowId, place) => [rowId, place])));
      }),
    close: () =>
      writers.write(() =>
        turns.write(async () => {
          closed = true;
          await faiss.close();
        }),
      ),
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

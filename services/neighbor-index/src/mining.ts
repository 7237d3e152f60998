// Finds every point's nearest neighbours in its own collection and writes them as the reference does.
import { checkedKey, type ArtifactStore } from '@kindred/artifact-store';
import { invalidField } from '@kindred/errors';
import type { FaissEngine } from '@kindred/faiss-native';
import { encodeNpy } from '@kindred/formats';
import { neighbourAccuracy } from '@kindred/memory-bank';
import { createJobs, type Job, type JobContext, type Jobs } from '@kindred/service-runtime';
import type { Collection } from './engine/engine.js';
import type { Quotas } from './engine/quotas.js';
import { recordNeighbours } from './index-lineage.js';
import { mineByDistance } from './mining-by-distance.js';

/** How far a mining job is. */
export interface MiningProgress {
  readonly completed: number;
  readonly total: number;
  /** Key of the file; empty until it is written. */
  readonly key: string;
  /** Percent; null unless every point has a label and k neighbours. */
  readonly accuracy: number | null;
}

/** Mining jobs. */
export interface Mining extends Omit<Jobs<MiningProgress>, 'start'> {
  /** Starts a job over `size` points; `key` empty: `collections/<name>/topk-<k>.npy`. */
  start(collection: Collection, size: number, k: number, key: string): Job<MiningProgress>;
}

/** Bytes of a job: the table and its copy in the engine; scores, positions, the file's numbers and the file. */
function bytesToMine(size: number, dimension: number, k: number): number {
  return size * (8 * dimension + (k + 1) * (4 + 4 + 8 + 8));
}

/** A file name that a mining job may write. */
const neighbourFile = /^topk-[^/]+\.npy$/;

/** What mining works with. */
export interface MiningParts {
  readonly store: ArtifactStore;
  readonly engine: FaissEngine;
  readonly maxRunning: number;
  /** Asked for a job's memory before it takes it. */
  readonly hold: Quotas['hold'];
}

/** Makes an empty set of jobs. */
export function createMining({ store, engine, maxRunning, hold }: MiningParts): Mining {
  const jobs = createJobs<MiningProgress>('mining job', maxRunning);

  /**
   * The rows of the file are the points by ascending id, and its numbers are row numbers: where ids are 0 to n - 1, as for a
   * data set, row and number are the id itself. The job works on the points as they are when it starts.
   */
  const mine = async (
    collection: Collection,
    k: number,
    key: string,
    context: JobContext<MiningProgress>,
  ): Promise<Partial<MiningProgress>> => {
    const memory = hold(
      bytesToMine(await collection.size(), collection.spec.dimension, k),
      `mining '${collection.name}'`,
    );
    try {
      return await mineHeld(collection, k, key, context);
    } finally {
      memory.release();
    }
  };
  const mineHeld = async (
    collection: Collection,
    k: number,
    key: string,
    { signal, report }: JobContext<MiningProgress>,
  ): Promise<Partial<MiningProgress>> => {
    const { vectors, labels } = await collection.table(signal);
    const rows = labels.length;
    report({ total: rows });
    if (k >= rows) throw tooLarge(k, rows, collection.name);
    const { dimension, metric } = collection.spec;
    const onProgress = (completed: number): void => report({ completed });
    const request = { vectors, dimension, k: k + 1 };
    const { positions } =
      metric === 'l2'
        ? await mineByDistance(request, { signal, onProgress })
        : await engine.mine(request, { signal, onProgress });
    selfFirst(positions, k + 1);
    const { sha256, size } = await store.put(key, encodeNpy(widened(positions), [rows, k + 1]));
    const judged = labels.every((label) => label >= 0) && positions.every((position) => position >= 0);
    const accuracy = judged ? neighbourAccuracy(positions, labels) : null;
    await recordNeighbours(store, collection, { key, sha256, size }, { rows, k, accuracy });
    return { completed: rows, key, accuracy };
  };

  return {
    ...jobs,
    start(collection, size, k, key) {
      const { name } = collection;
      if (k >= size) throw tooLarge(k, size, name);
      const target = key === '' ? `collections/${name}/topk-${k}.npy` : neighbourKey(key, name);
      const initial = { completed: 0, total: size, key: '', accuracy: null };
      return jobs.start(initial, (context) => mine(collection, k, target, context));
    },
  };
}

/**
 * The key, if it is one that mining may write: what runs, models and snapshots consist of is not for callers to replace.
 * INVALID_ARGUMENT otherwise.
 */
function neighbourKey(key: string, collection: string): string {
  const parts = checkedKey(key).split('/');
  const file = parts.pop() ?? '';
  const [area, owner] = parts;
  const own = area === 'collections' && owner === collection && parts.length === 2;
  const run = area === 'runs' && parts.length === 2;
  if (neighbourFile.test(file) && (own || run || area === 'features')) return key;
  const places = `collections/${collection}/topk-*.npy, runs/<run>/topk-*.npy, features/…/topk-*.npy`;
  throw invalidField('key', `got '${key}'; allowed: ${places}`);
}

function tooLarge(k: number, size: number, name: string): Error {
  return invalidField('k', `got ${k}; allowed: below ${size}, the number of points in '${name}'`);
}

/** Puts each row's own number first; a vector that is longer, or an equal one before it, may have taken that place. */
export function selfFirst(positions: Int32Array, columns: number): void {
  for (let row = 0; row < positions.length / columns; row++) {
    const start = row * columns;
    if (positions[start] === row) continue;
    const found = positions.subarray(start, start + columns).indexOf(row);
    const from = found === -1 ? columns - 1 : found;
    positions.copyWithin(start + 1, start, start + from);
    positions[start] = row;
  }
}

/** int32 to int64 by words, which is many times faster than by BigInt; -1, "no neighbour" as faiss writes it, stays -1. */
function widened(positions: Int32Array): BigInt64Array {
  const words = new Int32Array(positions.length * 2);
  for (let i = 0; i < positions.length; i++) {
    words[2 * i] = positions[i]!;
    words[2 * i + 1] = positions[i]! >> 31;
  }
  return new BigInt64Array(words.buffer);
}

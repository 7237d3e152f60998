// Finds every vector's nearest neighbours in its own index and writes them as the reference does.
import { checkedKey, type ArtifactStore } from '@kindred/artifact-store';
import { invalidField } from '@kindred/errors';
import type { FaissEngine } from '@kindred/faiss-native';
import { encodeNpy } from '@kindred/formats';
import { neighbourAccuracy } from '@kindred/memory-bank';
import { createJobs, type Job, type JobContext, type Jobs } from '@kindred/service-runtime';
import { recordNeighbours } from './index-lineage.js';
import type { VectorIndex } from './vector-index.js';

/** How far a mining job is. */
export interface MiningProgress {
  readonly completed: number;
  readonly total: number;
  /** Key of the file; empty until it is written. */
  readonly key: string;
  /** Percent; null unless every vector has a label and k neighbours. */
  readonly accuracy: number | null;
}

/** Mining jobs. */
export interface Mining extends Omit<Jobs<MiningProgress>, 'start'> {
  /** Starts a job; `key` empty: `indexes/<index>/topk-<k>.npy`. */
  start(index: VectorIndex, k: number, key: string): Job<MiningProgress>;
}

/** A file name that a mining job may write. */
const neighbourFile = /^topk-[^/]+\.npy$/;

/** What mining works with. */
export interface MiningParts {
  readonly store: ArtifactStore;
  readonly engine: FaissEngine;
  readonly maxRunning: number;
}

/** Makes an empty set of jobs. */
export function createMining({ store, engine, maxRunning }: MiningParts): Mining {
  const jobs = createJobs<MiningProgress>('mining job', maxRunning);

  /**
   * The rows of the file are the vectors by ascending id, and its numbers are row numbers: where ids are 0 to n - 1, as for a
   * data set, row and number are the id itself. The job works on the vectors as they are when it starts.
   */
  const mine = async (
    index: VectorIndex,
    k: number,
    key: string,
    { signal, report }: JobContext<MiningProgress>,
  ): Promise<Partial<MiningProgress>> => {
    const { vectors, labels } = await index.sortedRows();
    const rows = labels.length;
    report({ total: rows });
    const { dimension } = index.manifest;
    const onProgress = (completed: number): void => report({ completed });
    const { positions } = await engine.mine({ vectors, dimension, k: k + 1 }, { signal, onProgress });
    selfFirst(positions, k + 1);
    const { sha256, size } = await store.put(key, encodeNpy(widened(positions), [rows, k + 1]));
    const judged = labels.every((label) => label >= 0) && positions.every((position) => position >= 0);
    const accuracy = judged ? neighbourAccuracy(positions, labels) : null;
    await recordNeighbours(store, index, { key, sha256, size }, { k, accuracy });
    return { completed: rows, key, accuracy };
  };

  return {
    ...jobs,
    start(index, k, key) {
      if (k >= index.size) {
        throw invalidField('k', `got ${k}; allowed: below ${index.size}, the number of vectors in '${index.id}'`);
      }
      const target = key === '' ? `indexes/${index.id}/topk-${k}.npy` : neighbourKey(key, index.id);
      const initial = { completed: 0, total: index.size, key: '', accuracy: null };
      return jobs.start(initial, (context) => mine(index, k, target, context));
    },
  };
}

/**
 * The key, if it is one that mining may write: what runs, models and indexes consist of is not for callers to replace.
 * INVALID_ARGUMENT otherwise.
 */
function neighbourKey(key: string, indexId: string): string {
  const parts = checkedKey(key).split('/');
  const file = parts.pop() ?? '';
  const [area, owner] = parts;
  const own = area === 'indexes' && owner === indexId && parts.length === 2;
  const run = area === 'runs' && parts.length === 2;
  if (neighbourFile.test(file) && (own || run || area === 'features')) return key;
  const places = `indexes/${indexId}/topk-*.npy, runs/<run>/topk-*.npy, features/…/topk-*.npy`;
  throw invalidField('key', `got '${key}'; allowed: ${places}`);
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

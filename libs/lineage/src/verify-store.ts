// Verification: every object that something refers to is read and hashed anew, and what is damaged is named.
import { KindredError, isKindredError } from '@kindred/errors';
import { hashOf } from './hash-of.js';
import type { LineageStore } from './lineage-store.js';
import { collectReferences, type ReferencedObject, type StoreReferences } from './references.js';

/** What is wrong with one object. */
export interface StoreFault {
  readonly key: string;
  /** `missing`: it is not there; `damaged`: its content is not what was written; `unreadable`: it is no whole JSON of its form. */
  readonly kind: 'missing' | 'damaged' | 'unreadable';
  /** In words: what was found, and what was expected. */
  readonly problem: string;
  /** Who refers to it. */
  readonly by: readonly string[];
}

/** The result of {@link verifyStore}. */
export interface Verification {
  readonly faults: readonly StoreFault[];
  /** Objects that were read and hashed. */
  readonly objects: number;
  /** Their bytes. */
  readonly bytes: number;
  /** Of these objects, those that nothing says the hash of: they could be read, and that is all that is known. */
  readonly withoutHash: number;
}

/** How to verify. */
export interface VerifyOptions {
  /** Ends it with CANCELLED. */
  readonly signal?: AbortSignal;
  /** Hears how many of all objects are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Reads all that is alive in a store and compares its hashes. Nothing is changed. Services may work on meanwhile: what
 * they replace or delete in that time is no fault.
 */
export async function verifyStore(
  store: Pick<LineageStore, 'describe' | 'get' | 'list' | 'read'>,
  { signal, onProgress }: VerifyOptions = {},
): Promise<Verification> {
  const before = await collectReferences(store);
  const suspects: StoreFault[] = [];
  let bytes = 0;
  let withoutHash = 0;
  let done = 0;
  for (const [key, object] of before.objects) {
    if (signal?.aborted === true) throw new KindredError('CANCELLED', 'verification: cancelled by the caller');
    const fault = await faultOf(store, key, object);
    if (fault !== null) suspects.push(fault);
    bytes += (await store.describe(key))?.size ?? 0;
    if (object.sha256 === null) withoutHash++;
    onProgress?.(++done, before.objects.size);
  }
  const faults = [...unreadable(before), ...pinnedToNothing(before), ...suspects];
  const confirmed = faults.length === 0 ? [] : await stillFaulty(store, faults);
  return { faults: confirmed, objects: before.objects.size, bytes, withoutHash };
}

function unreadable({ damaged, objects }: StoreReferences): StoreFault[] {
  return damaged.map(({ key, problem }) => ({ key, kind: 'unreadable', problem, by: objects.get(key)?.by ?? [] }));
}

/** Descriptions of which only the beginning of the name is known; the others are looked for like any object. */
function pinnedToNothing({ missingDatasets, objects }: StoreReferences): StoreFault[] {
  return missingDatasets
    .filter(({ key }) => !objects.has(key))
    .map(({ key, by }) => ({
      key,
      kind: 'missing',
      problem: 'no description begins so: push the same dataset again, or restore it',
      by: [by],
    }));
}

async function faultOf(
  store: Pick<LineageStore, 'read'>,
  key: string,
  { sha256, mayBeAbsent, by }: ReferencedObject,
): Promise<StoreFault | null> {
  try {
    const got = await hashOf(store, key);
    if (sha256 === null || got === sha256) return null;
    return { key, kind: 'damaged', problem: `its SHA-256 is ${got}, it was written as ${sha256}`, by };
  } catch (thrown) {
    if (isKindredError(thrown, 'DATA_LOSS')) return { key, kind: 'damaged', problem: thrown.message, by };
    if (!isKindredError(thrown, 'NOT_FOUND')) throw thrown;
    return mayBeAbsent ? null : { key, kind: 'missing', problem: 'it is not there', by };
  }
}

/** Looks again at what seemed faulty: a service may have replaced it between two reads. */
async function stillFaulty(
  store: Pick<LineageStore, 'describe' | 'get' | 'list' | 'read'>,
  faults: readonly StoreFault[],
): Promise<StoreFault[]> {
  const now = await collectReferences(store);
  const again = [...unreadable(now), ...pinnedToNothing(now)].filter(({ key }) =>
    faults.some((fault) => fault.key === key),
  );
  for (const { key, kind } of faults) {
    const object = now.objects.get(key);
    if (kind === 'unreadable' || object === undefined) continue;
    const fault = await faultOf(store, key, object);
    if (fault !== null) again.push(fault);
  }
  return again.sort((a, b) => (a.key < b.key ? -1 : 1));
}

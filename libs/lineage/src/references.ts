// Who refers to which object: gathered from all that is alive in a store, for verification and garbage collection.
import type { LineageStore } from './lineage-store.js';
import { addDatasets } from './dataset-references.js';
import { addIndexes } from './index-references.js';
import { addManifests } from './manifest-references.js';
import { addModels } from './model-references.js';
import { addRuns } from './run-references.js';

/** What is known of an object that something alive refers to. */
export interface ReferencedObject {
  /** Hash that it must have; null: nobody says. */
  readonly sha256: string | null;
  /** Whether it may be gone without harm: an older checkpoint. */
  readonly mayBeAbsent: boolean;
  /** Who refers to it, for people, e.g. `model cats@2`. */
  readonly by: readonly string[];
}

/** An object that holds references and cannot be read. */
export interface DamagedHolder {
  readonly key: string;
  readonly problem: string;
}

/** A dataset's description that is gone. */
export interface MissingDataset {
  /** Its key; `…` at its end: all that is known of it. */
  readonly key: string;
  /** Who refers to it. */
  readonly by: string;
}

/** A run that has a record. */
export interface KnownRun {
  /** Whether it goes no further by itself; null: its record is damaged. */
  readonly ended: boolean | null;
  /** Whether each commit could be read, so that a checkpoint which none names belongs to nothing. */
  readonly commitsKnown: boolean;
}

/** All references in a store at one time. */
export interface StoreReferences {
  readonly objects: ReadonlyMap<string, ReferencedObject>;
  readonly damaged: readonly DamagedHolder[];
  /** Descriptions of datasets that a name or a run refers to, and that are gone: which shards are theirs is not known. */
  readonly missingDatasets: readonly MissingDataset[];
  /** By id. */
  readonly runs: ReadonlyMap<string, KnownRun>;
  /** Ids of indexes; false: which segments are its own is not known, because its manifest is damaged or of a later form. */
  readonly indexes: ReadonlyMap<string, boolean>;
  /** Keys of manifests of what is gone. */
  readonly deadManifests: ReadonlySet<string>;
  /** Keys of files that only such manifests list. */
  readonly deadFiles: ReadonlySet<string>;
}

/** Where the parts of a store note what they refer to. */
export interface ReferenceNotes {
  readonly store: Pick<LineageStore, 'get' | 'list'>;
  readonly runs: Map<string, KnownRun>;
  readonly indexes: Map<string, boolean>;
  /** Datasets that runs name, `artifact:NAME@HASH`. */
  readonly namedDatasets: Map<string, string>;
  readonly deadManifests: Set<string>;
  readonly deadFiles: Set<string>;
  refer(key: string, sha256: string | null, by: string, mayBeAbsent?: boolean): void;
  isReferred(key: string): boolean;
  hasContent(sha256: string): boolean;
  damaged(key: string, problem: string): void;
  missingDataset(key: string, by: string): void;
}

/** Reads everything that holds references. An object that cannot be read is noted as damaged; nothing is changed. */
export async function collectReferences(store: Pick<LineageStore, 'get' | 'list'>): Promise<StoreReferences> {
  const objects = new Map<string, { sha256: string | null; mayBeAbsent: boolean; by: string[] }>();
  const contents = new Set<string>();
  const damaged: DamagedHolder[] = [];
  const missingDatasets: MissingDataset[] = [];
  const notes: ReferenceNotes = {
    store,
    runs: new Map(),
    indexes: new Map(),
    namedDatasets: new Map(),
    deadManifests: new Set(),
    deadFiles: new Set(),
    refer(key, sha256, by, mayBeAbsent = false) {
      if (sha256 !== null) contents.add(sha256);
      const known = objects.get(key);
      if (known === undefined) {
        objects.set(key, { sha256, mayBeAbsent, by: [by] });
        return;
      }
      if (sha256 !== null && known.sha256 !== null && sha256 !== known.sha256)
        damaged.push({ key, problem: `${by} expects SHA-256 ${sha256}, ${known.by.join(', ')} ${known.sha256}` });
      known.sha256 ??= sha256;
      known.mayBeAbsent &&= mayBeAbsent;
      if (!known.by.includes(by)) known.by.push(by);
    },
    isReferred: (key) => objects.has(key),
    hasContent: (sha256) => contents.has(sha256),
    damaged: (key, problem) => void damaged.push({ key, problem }),
    missingDataset: (key, by) => void missingDatasets.push({ key, by }),
  };
  await addRuns(notes);
  await addModels(notes);
  await addIndexes(notes);
  // Last: whether a manifest is alive depends on what runs, models and indexes there are.
  await addManifests(notes);
  await addDatasets(notes);
  const { runs, indexes, deadManifests, deadFiles } = notes;
  return { objects, damaged, missingDatasets, runs, indexes, deadManifests, deadFiles };
}

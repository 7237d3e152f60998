// The models of the artifact store: what a reference stands for now, and what a model's file says of itself.
import { createHash } from 'node:crypto';
import type { ArtifactDescription, ArtifactStore } from '@kindred/artifact-store';
import { isKindredError, notFound, toKindredError, type KindredError } from '@kindred/errors';
import {
  createModelRegistry,
  registryKey,
  runModelKey,
  type DamagedModel,
  type RegisteredModel,
} from '@kindred/lineage';
import { backboneDim, decodeModelFile, firstMapSide } from '@kindred/simclr';

/** A model's file, found by a reference. */
export interface ResolvedModel {
  /** The name in the registry, or the run's id. */
  readonly name: string;
  /** The version's number; for a run's id, which has no versions, the first twelve digits of `sha256`. */
  readonly version: string;
  /** Aliases that stand for this version. */
  readonly aliases: readonly string[];
  /** Key of the file in the store. */
  readonly key: string;
  /** Of the file, lower-case hexadecimal. */
  readonly sha256: string;
}

/** What a model's file says of itself; numbers are 0 where the file is damaged. */
export interface ModelFacts {
  /** Bytes of the file. */
  readonly fileBytes: number;
  /** Numbers an embedding. */
  readonly embeddingDimension: number;
  /** Numbers a backbone vector. */
  readonly backboneDimension: number;
  /** Height and width in pixels that images are cropped to. */
  readonly cropSize: number;
  /** Shorter side that images of other sizes are resized to; null: none is. */
  readonly resizeSide: number | null;
  /** Numbers of an image's largest map in the network. */
  readonly mapSize: number;
  /** Why the file cannot be used; null where it can. */
  readonly fault: KindredError | null;
}

/** The models of the store. */
export interface ModelsOfStore {
  /** At the version that their name stands for. */
  readonly models: readonly ResolvedModel[];
  /** Entries of the registry that cannot be read. */
  readonly damaged: readonly DamagedModel[];
}

/** Finds models. */
export interface ModelSource {
  /** What `reference` stands for now. NOT_FOUND when there is no such model. */
  resolve(reference: string): Promise<ResolvedModel>;
  /** All models of the registry and of runs. */
  list(): Promise<ModelsOfStore>;
  /** What the file says; read once a content. */
  facts(model: ResolvedModel): Promise<ModelFacts>;
  /** The file. DATA_LOSS when it is not the one that was resolved any more. */
  file(model: ResolvedModel): Promise<Uint8Array>;
}

const runKey = /^runs\/([^/]+)\/model\.safetensors$/;
/** Keys that are looked at for the names in an error; a page of S3. */
const mostKeysLookedAt = 1000;
/** A run's id with the version that {@link ResolvedModel} gives it. */
const runVersion = /^([^@]+)@([0-9a-f]{12})$/;
/** What is said of a file that cannot be read. */
export const noFacts: Omit<ModelFacts, 'fileBytes'> = {
  embeddingDimension: 0,
  backboneDimension: 0,
  cropSize: 0,
  resizeSide: null,
  mapSize: 0,
  fault: null,
};

interface FileContent {
  readonly etag: string;
  readonly content: Promise<{ readonly sha256: string; readonly facts: ModelFacts }>;
}

/** Looks for models in `store`. */
export function createModelSource(store: ArtifactStore): ModelSource {
  const registry = createModelRegistry(store);
  // A file is read once for each state that it is seen in.
  const contents = new Map<string, FileContent>();

  const contentOf = (artifact: ArtifactDescription): FileContent['content'] => {
    let known = contents.get(artifact.key);
    if (known?.etag !== artifact.etag) {
      known = { etag: artifact.etag, content: readContent(store, artifact.key) };
      contents.set(artifact.key, known);
      known.content.catch(() => contents.delete(artifact.key));
    }
    return known.content;
  };

  /** The model of a run; null where there is none. */
  const ofRun = async (name: string): Promise<ResolvedModel | null> => {
    const artifact = await describe(store, runModelKey(name));
    if (artifact === null || !runKey.test(artifact.key)) return null;
    const { sha256 } = await contentOf(artifact);
    return { name, version: sha256.slice(0, 12), aliases: [], key: artifact.key, sha256 };
  };

  /** Whether a reference may be the registry's. What no model can be called is none of its names. */
  const isRegistered = async (name: string): Promise<boolean> => {
    try {
      return (await store.describe(registryKey(name))) !== null;
    } catch (thrown) {
      if (isKindredError(thrown, 'INVALID_ARGUMENT')) return false;
      throw thrown;
    }
  };

  /** Names that could be meant, the registry's before those of runs; `…` at their end where there may be more. */
  const knownNames = async (): Promise<string[]> => {
    const names = new Set((await registry.list()).models.map(({ name }) => name));
    let looked = 0;
    for await (const { key } of store.list('runs/')) {
      const run = runKey.exec(key)?.[1];
      if (run !== undefined) names.add(run);
      if (++looked === mostKeysLookedAt) return [...names, '…'];
    }
    return [...names];
  };

  const ofRegistry = async (reference: string): Promise<ResolvedModel> => {
    const { name, version, key, sha256 } = await registry.resolve(reference);
    const { aliases } = await registry.get(name);
    const own = Object.keys(aliases).filter((alias) => aliases[alias] === version);
    return { name, version: String(version), aliases: own.sort(), key, sha256 };
  };

  return {
    async resolve(reference) {
      const [, run, version] = runVersion.exec(reference) ?? [];
      const named = run === undefined ? null : await ofRun(run);
      if (named !== null && named.version === version) return named;
      const [name = ''] = reference.split('@', 1);
      if (!(await isRegistered(name))) {
        // The registry itself would hash a run's file at each look; here it is hashed once a state of the file.
        const ofThisRun = reference === name ? await ofRun(name) : null;
        if (ofThisRun !== null) return ofThisRun;
        throw notFound('model', reference, named === null ? await knownNames() : [`${named.name}@${named.version}`]);
      }
      try {
        return await ofRegistry(reference);
      } catch (thrown) {
        // What no model can be called is a model that does not exist.
        if (!isKindredError(thrown, 'NOT_FOUND') && !isKindredError(thrown, 'INVALID_ARGUMENT')) throw thrown;
        throw isKindredError(thrown, 'NOT_FOUND') ? thrown : notFound('model', reference);
      }
    },
    async list() {
      const registered = await registry.list();
      const models = registered.models.map(newest);
      // A name in the registry comes before a run of the same id, also where its entry is damaged.
      const known = new Set([...models, ...registered.damaged].map(({ name }) => name));
      for await (const { key } of store.list('runs/')) {
        const name = runKey.exec(key)?.[1];
        const model = name === undefined || known.has(name) ? null : await ofRun(name);
        if (model !== null) models.push(model);
      }
      return { models, damaged: registered.damaged };
    },
    async facts({ key, name }) {
      const artifact = await describe(store, key);
      if (artifact === null) throw notFound('model', name);
      return (await contentOf(artifact)).facts;
    },
    file: ({ key, sha256 }) => store.get(key, sha256),
  };
}

/** A registered model at its newest version, which its name alone stands for. */
function newest({ name, versions, aliases }: RegisteredModel): ResolvedModel {
  const last = versions.reduce((best, version) => (version.version > best.version ? version : best));
  const own = Object.keys(aliases).filter((alias) => aliases[alias] === last.version);
  return { name, version: String(last.version), aliases: own.sort(), key: last.key, sha256: last.sha256 };
}

/** Null also for a name that no key can hold. */
async function describe(store: ArtifactStore, key: string): Promise<ArtifactDescription | null> {
  try {
    return await store.describe(key);
  } catch (thrown) {
    if (isKindredError(thrown, 'INVALID_ARGUMENT')) return null;
    throw thrown;
  }
}

/** Reads a model's file part by part, so that hashing it leaves the event loop free. */
async function readContent(store: ArtifactStore, key: string): Promise<{ sha256: string; facts: ModelFacts }> {
  const hash = createHash('sha256');
  const parts: Uint8Array[] = [];
  let fileBytes = 0;
  for await (const part of store.read(key)) {
    hash.update(part);
    parts.push(part);
    fileBytes += part.length;
  }
  const sha256 = hash.digest('hex');
  try {
    const { architecture, cropSize, resizeSide } = decodeModelFile(Buffer.concat(parts));
    const dimensions = { embeddingDimension: architecture.featureDim, backboneDimension: backboneDim(architecture) };
    const mapSize = firstMapSide(architecture, cropSize) ** 2 * architecture.width;
    return { sha256, facts: { fileBytes, cropSize, resizeSide, mapSize, fault: null, ...dimensions } };
  } catch (thrown) {
    return { sha256, facts: { fileBytes, ...noFacts, fault: toKindredError(thrown) } };
  }
}

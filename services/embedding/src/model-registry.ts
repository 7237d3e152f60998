// The models of the artifact store: found by their key, described by their file, loaded when first used.
import { createHash } from 'node:crypto';
import type { ArtifactDescription, ArtifactStore } from '@kindred/artifact-store';
import { isKindredError, notFound } from '@kindred/errors';
import { backboneDim, decodeModelFile } from '@kindred/simclr';
import type { EncoderThread } from './encoder-thread.js';
import type { EmbedRequest } from './encoder.worker.js';

const modelKey = /^runs\/([^/]+)\/model\.safetensors$/;
/** Attempts to embed with a model that other calls push out of memory. */
const maxAttempts = 3;

/** What is known of a model. */
export interface ModelDescription {
  /** The id of the run that made it. */
  readonly name: string;
  readonly loaded: boolean;
  /** Numbers an embedding; 0 when the file is damaged. */
  readonly embeddingDimension: number;
  /** Numbers a backbone vector; 0 when the file is damaged. */
  readonly backboneDimension: number;
  /** Height and width in pixels that images are cropped to; 0 when the file is damaged. */
  readonly cropSize: number;
  /** SHA-256 of the file, lower-case hexadecimal. */
  readonly sha256: string;
}

/** The models and what can be done with them. */
export interface ModelRegistry {
  /** All models, by name. */
  list(): Promise<ModelDescription[]>;
  /** NOT_FOUND when there is no such model. */
  describe(name: string): Promise<ModelDescription>;
  /** Loads a model, or waits until it is loaded. NOT_FOUND; DATA_LOSS when its file is damaged. */
  load(name: string): Promise<ModelDescription>;
  /** Frees a model's memory; no effect on one that is not loaded. */
  unload(name: string): Promise<void>;
  /** float32 [count, dimension]; loads the model if need be. */
  embed(request: EmbedRequest): Promise<Float32Array>;
}

type FileFacts = Omit<ModelDescription, 'loaded' | 'name'>;

/** Makes the registry over `store`; at most `maxLoaded` models are in memory. */
export function createModelRegistry(store: ArtifactStore, encoder: EncoderThread, maxLoaded: number): ModelRegistry {
  const facts = new Map<string, { readonly version: string; readonly facts: Promise<FileFacts> }>();
  // Insertion order is the order of last use.
  const loaded = new Map<string, { readonly version: string; readonly loading: Promise<void> }>();

  const artifactOf = async (name: string): Promise<ArtifactDescription> => {
    const artifact = modelKey.test(`runs/${name}/model.safetensors`) ? await describeKey(store, name) : null;
    if (artifact === null) throw notFound('model', name);
    return artifact;
  };

  const describeArtifact = async (name: string, artifact: ArtifactDescription): Promise<ModelDescription> => {
    const version = versionOf(artifact);
    let known = facts.get(name);
    if (known?.version !== version) {
      known = { version, facts: readFacts(store, artifact.key) };
      facts.set(name, known);
      known.facts.catch(() => facts.delete(name));
    }
    return { name, ...(await known.facts), loaded: loaded.get(name)?.version === version };
  };

  /** Frees a model; one that is being loaded is waited for, so that it does not arrive after it was freed. */
  const drop = async (name: string): Promise<void> => {
    const entry = loaded.get(name);
    if (entry === undefined) return;
    loaded.delete(name);
    await entry.loading.catch(() => {});
    await encoder.unload(name);
  };

  const evict = async (): Promise<void> => {
    for (const name of loaded.keys()) {
      if (loaded.size <= maxLoaded) return;
      await drop(name);
    }
  };

  const ensureLoaded = async (name: string, artifact: ArtifactDescription): Promise<void> => {
    const version = versionOf(artifact);
    let entry = loaded.get(name);
    if (entry?.version !== version) {
      const loading = store.get(artifact.key).then((file) => encoder.load(name, file));
      entry = { version, loading };
      const made = entry;
      loading.catch(() => {
        if (loaded.get(name) === made) loaded.delete(name);
      });
    }
    loaded.delete(name);
    loaded.set(name, entry);
    await evict();
    await entry.loading;
  };

  const registry: ModelRegistry = {
    async list() {
      const models: ModelDescription[] = [];
      for await (const artifact of store.list('runs/')) {
        const name = modelKey.exec(artifact.key)?.[1];
        if (name !== undefined) models.push(await describeArtifact(name, artifact));
      }
      return models.sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    describe: async (name) => describeArtifact(name, await artifactOf(name)),
    async load(name) {
      await ensureLoaded(name, await artifactOf(name));
      return registry.describe(name);
    },
    unload: drop,
    async embed(request) {
      for (let attempt = 1; ; attempt++) {
        await ensureLoaded(request.model, await artifactOf(request.model));
        try {
          return await encoder.embed(request);
        } catch (thrown) {
          // The model left memory between loading and the call's turn in the thread.
          if (attempt === maxAttempts || !isKindredError(thrown, 'FAILED_PRECONDITION')) throw thrown;
          loaded.delete(request.model);
        }
      }
    },
  };
  return registry;
}

async function describeKey(store: ArtifactStore, name: string): Promise<ArtifactDescription | null> {
  try {
    return await store.describe(`runs/${name}/model.safetensors`);
  } catch (thrown) {
    // A name that no key can hold is a model that does not exist.
    if (isKindredError(thrown, 'INVALID_ARGUMENT')) return null;
    throw thrown;
  }
}

function versionOf({ size, modifyTime }: ArtifactDescription): string {
  return `${size} ${modifyTime.getTime()}`;
}

/** Reads a model's file part by part, so that hashing it leaves the event loop free. */
async function readFacts(store: ArtifactStore, key: string): Promise<FileFacts> {
  const hash = createHash('sha256');
  const parts: Uint8Array[] = [];
  for await (const part of store.read(key)) {
    hash.update(part);
    parts.push(part);
  }
  const sha256 = hash.digest('hex');
  try {
    const { architecture, cropSize } = decodeModelFile(Buffer.concat(parts));
    return {
      sha256,
      cropSize,
      embeddingDimension: architecture.featureDim,
      backboneDimension: backboneDim(architecture),
    };
  } catch {
    return { sha256, cropSize: 0, embeddingDimension: 0, backboneDimension: 0 };
  }
}

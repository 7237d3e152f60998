// The registry of models: names, versions 1, 2, 3…, and aliases, each model one object that is replaced by compare-and-swap.
import { KindredError, isKindredError, notFound } from '@kindred/errors';
import { compareAndSwap } from './compare-and-swap.js';
import { hashOf } from './hash-of.js';
import type { LineageStore } from './lineage-store.js';
import { checkedAlias, checkedModelName, parseModelReference } from './model-reference.js';
import {
  emptyModel,
  registeredModelSchema,
  versionNamed,
  versionOfFile,
  withAlias,
  withVersion,
  withoutAlias,
  withoutVersion,
  type ModelVersion,
  type NewModelVersion,
  type RegisteredModel,
} from './registered-model.js';

/** A model's file, found by a reference. */
export interface ResolvedModel {
  /** The name in the registry, or the run's id. */
  readonly name: string;
  /** Null for a run's id, which has no versions. */
  readonly version: number | null;
  /** Key of the file in the store. */
  readonly key: string;
  /** Of the file, lower-case hexadecimal. */
  readonly sha256: string;
}

/** An entry of the registry that cannot be read. */
export interface DamagedModel {
  /** The model's name, as the entry's key has it. */
  readonly name: string;
  /** Key of the entry. */
  readonly key: string;
  /** What is wrong with it, and what to do. */
  readonly problem: string;
}

/** What the registry holds. */
export interface ModelListing {
  /** All models that have a version, by name. */
  readonly models: readonly RegisteredModel[];
  /** Entries that cannot be read, by name; they hide none of the others. */
  readonly damaged: readonly DamagedModel[];
}

/** The registry. Calls on it by any number of processes lose nothing of each other. */
export interface ModelRegistry {
  /** All models, damaged ones apart. */
  list(): Promise<ModelListing>;
  /** NOT_FOUND when there is no such model. */
  get(name: string): Promise<RegisteredModel>;
  /**
   * Finds a model's file by `name` (its latest version), `name@3`, `name@alias`, or a run's id. A name in the registry
   * comes before a run of the same id. NOT_FOUND, with what there is, otherwise.
   */
  resolve(reference: string): Promise<ResolvedModel>;
  /** Adds a version, and moves `latest` to it at the same instant. The same file again gives the version that it has. */
  register(name: string, file: NewModelVersion): Promise<ModelVersion>;
  /**
   * Points an alias at a version. With `expected`, ABORTED unless the alias stands there (null: there is no such alias).
   * NOT_FOUND when there is no such version.
   */
  setAlias(name: string, alias: string, version: number, expected?: number | null): Promise<RegisteredModel>;
  deleteAlias(name: string, alias: string): Promise<RegisteredModel>;
  /** Removes a version; its file stays until garbage is collected. FAILED_PRECONDITION while an alias points at it. */
  deleteVersion(name: string, version: number): Promise<RegisteredModel>;
  /** Removes all versions and aliases; the numbers are not given again. NOT_FOUND when there is no such model. */
  delete(name: string): Promise<void>;
}

/** Prefix of the keys of the registry's objects. */
export const registryPrefix = 'registry/';

/** Key of a model's object in the registry. */
export const registryKey = (name: string): string => `${registryPrefix}${checkedModelName(name)}.json`;

/** Key of the model that a run has made. */
export const runModelKey = (runId: string): string => `runs/${runId}/model.safetensors`;

/** Opens the registry in a store; it needs no preparation. */
export function createModelRegistry(store: LineageStore): ModelRegistry {
  const read = async (name: string): Promise<RegisteredModel | null> => {
    try {
      const model = decode(await store.get(registryKey(name)), name);
      return model.versions.length === 0 ? null : model;
    } catch (thrown) {
      if (isKindredError(thrown, 'NOT_FOUND')) return null;
      throw thrown;
    }
  };
  const known = async (): Promise<string[]> => (await registry.list()).models.map(({ name }) => name);

  /** Replaces a model by `next` of it, and returns what then stands in the store. */
  const change = async (
    name: string,
    next: (model: RegisteredModel) => RegisteredModel,
    mayBeNew = false,
  ): Promise<RegisteredModel> => {
    let after = emptyModel(name);
    await compareAndSwap(store, registryKey(name), (bytes) => {
      const before = bytes === null ? emptyModel(name) : decode(bytes, name);
      if (before.versions.length === 0 && !mayBeNew) throw notFound('model', name);
      after = next(before);
      if (after === before) return null;
      after = { ...after, revision: before.revision + 1 };
      return new TextEncoder().encode(`${JSON.stringify(after, null, 1)}\n`);
    });
    return after;
  };

  const registry: ModelRegistry = {
    async list() {
      const models: RegisteredModel[] = [];
      const damaged: DamagedModel[] = [];
      for await (const { key } of store.list(registryPrefix)) {
        const name = /^registry\/([^/]+)\.json$/.exec(key)?.[1];
        if (name === undefined) continue;
        try {
          const model = await read(name);
          if (model !== null) models.push(model);
        } catch (thrown) {
          // INVALID_ARGUMENT: somebody has put an object there whose name no model can have.
          if (!isKindredError(thrown, 'DATA_LOSS') && !isKindredError(thrown, 'INVALID_ARGUMENT')) throw thrown;
          damaged.push({ name, key, problem: thrown.message });
        }
      }
      return { models, damaged };
    },
    async get(name) {
      const model = await read(name);
      if (model === null) throw notFound('model', name, await known());
      return model;
    },
    async resolve(reference) {
      const { name, version, explicit } = parseModelReference(reference);
      const model = await read(name);
      if (model !== null) {
        const { key, sha256, version: number } = versionNamed(model, version);
        return { name, version: number, key, sha256 };
      }
      const key = runModelKey(name);
      const described = explicit ? null : await store.describe(key);
      if (described === null) throw notFound('model', reference, await known());
      return { name, version: null, key, sha256: described.sha256 ?? (await hashOf(store, key)) };
    },
    async register(name, file) {
      const createTime = new Date().toISOString();
      const model = await change(
        name,
        (before) => (versionOfFile(before, file) === undefined ? withVersion(before, file, createTime) : before),
        true,
      );
      return versionOfFile(model, file) as ModelVersion;
    },
    setAlias: async (name, alias, version, expected) =>
      change(name, (model) => {
        const stands = model.aliases[checkedAlias(alias)];
        if (expected !== undefined && (stands ?? null) !== expected) throw movedAlias(name, alias, stands, expected);
        return stands === version ? model : withAlias(model, alias, version);
      }),
    deleteAlias: async (name, alias) => change(name, (model) => withoutAlias(model, checkedAlias(alias))),
    deleteVersion: async (name, version) => change(name, (model) => withoutVersion(model, version)),
    async delete(name) {
      await change(name, (model) => ({ ...model, versions: [], aliases: {} }));
    },
  };
  return registry;
}

function decode(bytes: Uint8Array, name: string): RegisteredModel {
  const key = registryKey(name);
  try {
    return registeredModelSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (cause) {
    throw new KindredError(
      'DATA_LOSS',
      `${key} is damaged, or of a later version of Kindred; restore it, or delete it and register the versions again`,
      { resource: { type: 'artifact', name: key }, cause },
    );
  }
}

function movedAlias(name: string, alias: string, stands: number | undefined, expected: number | null): KindredError {
  const text = (version: number | null): string => (version === null ? 'nothing' : `version ${version}`);
  return new KindredError(
    'ABORTED',
    `alias '${alias}' of model '${name}' is ${text(stands ?? null)}, not ${text(expected)} as was expected; look again, then move it`,
    { resource: { type: 'model', name: `${name}@${alias}` } },
  );
}

// The models in memory: loaded when first asked for, followed when what their name stands for changes, the longest unused freed for room.
import { setTimeout as delay } from 'node:timers/promises';
import { KindredError, isKindredError, toKindredError } from '@kindred/errors';
import { createMemoryBudget, type HealthBoard, type Logger, type MemoryReservation } from '@kindred/service-runtime';
import type { EncoderThreads } from '../engine/encoder-threads.js';
import { metrics, watchModelBytes } from '../metrics.js';
import { publicError } from '../public-error.js';
import { noFacts, type ModelFacts, type ModelSource, type ResolvedModel } from './model-source.js';
import { reckonedBytes, serveModel, unusable, type BatchingOptions, type ServedModel } from './served-model.js';

/** What is known of a model, for callers. */
export interface ModelDescription extends ResolvedModel, Omit<ModelFacts, 'fileBytes' | 'mapSize'> {
  /** Whether `version` is in memory. */
  readonly loaded: boolean;
  /** The version in memory; empty where none is. */
  readonly servingVersion: string;
  /** All versions of the name in memory, under whichever of its names they were loaded. */
  readonly loadedVersions: readonly string[];
  /** Why `version` is not in memory though it should be; else empty. */
  readonly loadError: string;
  /** Bytes that it is reckoned to take; 0 where it is not in memory. */
  readonly memoryBytes: number;
}

/** A model that cannot be freed until it is given back. */
export interface ModelLease {
  readonly served: ServedModel;
  /** Gives it back. Idempotent. */
  release(): void;
}

/** The models in memory. */
export interface ServedModels {
  /** The model that `reference` stands for, loaded if need be. NOT_FOUND, DATA_LOSS, RESOURCE_EXHAUSTED (no memory for it). */
  acquire(reference: string): Promise<ModelLease>;
  /** Loads a model, or waits until it is loaded. Errors of {@link ServedModels.acquire}. */
  load(reference: string): Promise<ModelDescription>;
  /** Frees what `reference` stands for, under all its names; no effect where it is not loaded. */
  unload(reference: string): Promise<void>;
  /** Frees all versions of a name; no effect where none is loaded. */
  unloadAll(name: string): Promise<void>;
  /** Where none of the models in use has room in its queue: the time after which one has, in milliseconds; else null. */
  fullForMs(): number | null;
  /** Whether what `reference` stands for is loaded and warm, under whichever of its names. */
  ready(reference: string): Promise<boolean>;
  /** All models of the store, by name. */
  list(): Promise<ModelDescription[]>;
  /** The models in memory, by name. */
  loaded(): Promise<ModelDescription[]>;
  /** NOT_FOUND when there is no such model; the file's fault where it cannot be used and no older version serves. */
  describe(reference: string): Promise<ModelDescription>;
  /** What models run on: `cpu` or `gpu`; empty until one has been loaded. */
  device(): string;
  /** Stops following. */
  close(): void;
}

/** How models are kept. */
export interface ServedModelsOptions {
  readonly source: ModelSource;
  readonly encoder: EncoderThreads;
  readonly batching: BatchingOptions;
  /** Bytes that all of them may take together. */
  readonly maxBytes: number;
  /** Time between two looks at what a reference stands for, in milliseconds. */
  readonly followMs: number;
  /** Bytes of the machine that models may still take, asked before each load. @default asks the kernel */
  readonly availableBytes?: () => number;
  readonly logger: Logger;
  /** Told which models can be used, under `models/<name>`. */
  readonly health: HealthBoard;
}

/** How long a load waits for calls of models that leave, and how often it looks. */
const roomWaitMs = 10_000;
const roomLookMs = 10;

/** What is known of a model whose entry in the registry cannot be read. */
const nothingKnown = { version: '', aliases: [], key: '', sha256: '' };

/** What is said of a version whose file is not there any more. */
const goneText = 'its file is gone from the artifact store; put it back, or delete the version';

interface Followed {
  served: ServedModel;
  loadError: string;
  /** The content that could not be loaded: it is not tried again until it changes. */
  failedSha256: string;
}

/** Makes the set; empty. */
export function createServedModels(options: ServedModelsOptions): ServedModels {
  const { source, encoder, batching, maxBytes, followMs, availableBytes, logger, health } = options;
  const closed = new AbortController();
  // By reference, in the order of last use.
  const followed = new Map<string, Followed>();
  const firstLoads = new Map<string, Promise<Followed>>();
  const leases = new Map<ServedModel, number>();
  const inMemory = new Set<ServedModel>();
  const budget = createMemoryBudget({ name: 'embedding-models', limitBytes: maxBytes, availableBytes });
  // Given back once a model has been freed, which is after it has left `inMemory`.
  const reservations = new WeakMap<ServedModel, MemoryReservation>();
  let loading: Promise<unknown> = Promise.resolve();
  let device = '';

  const sameContent = (a: ResolvedModel, b: ResolvedModel): boolean =>
    a.name === b.name && a.version === b.version && a.sha256 === b.sha256;
  const isReferred = (served: ServedModel): boolean => [...followed.values()].some((entry) => entry.served === served);

  /** Frees a model that nothing refers to and no call uses. */
  const freeIfUnused = (served: ServedModel): void => {
    if (!inMemory.has(served) || isReferred(served) || (leases.get(served) ?? 0) > 0) return;
    inMemory.delete(served);
    leases.delete(served);
    const { name } = served.model;
    if (![...inMemory].some(({ model }) => model.name === name)) health.remove(healthName(name));
    void served
      .free()
      .catch((err: unknown) => logger.error({ err, model: name }, 'model not freed'))
      .finally(() => reservations.get(served)?.release());
  };

  const forget = (served: ServedModel): void => {
    for (const [reference, entry] of followed) if (entry.served === served) followed.delete(reference);
    freeIfUnused(served);
  };

  const used = (): number => budget.reservedBytes();

  /** Lets the longest unused models go until `bytes` more fit, waits for the calls that they still have, and takes the room. */
  const makeRoom = async (bytes: number, name: string): Promise<MemoryReservation> => {
    const isServing = (served: ServedModel): boolean =>
      [...followed].some(([reference, entry]) => entry.served === served && !/@\d+$/.test(reference));
    const isLeased = (served: ServedModel): boolean => (leases.get(served) ?? 0) > 0;
    const others = [...new Set([...followed.values()].map(({ served }) => served))]
      // The older version of this very model goes on serving until the new one is there; one that callers only name by its
      // number may go.
      .filter((served) => served.model.name !== name || !isServing(served))
      .sort((a, b) => Number(isLeased(a)) - Number(isLeased(b)));
    // What nothing refers to goes by itself, once its calls have ended.
    const leaving = (): number =>
      used() - [...inMemory].reduce((sum, s) => sum + (isReferred(s) ? s.memoryBytes : 0), 0);
    const noRoom = (): KindredError =>
      new KindredError(
        'RESOURCE_EXHAUSTED',
        `model '${name}' is reckoned to take ${bytes} bytes; ${used()} of ${maxBytes} are taken by models in use; unload one, allow more, or run fewer instances`,
        { resource: { type: 'model', name }, retryAfterMs: 1000 },
      );
    const inOthers = others.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
    // A model that cannot fit costs the others nothing.
    if (used() - leaving() - inOthers + bytes > maxBytes) throw noRoom();
    const fits = (): boolean => used() - leaving() + bytes <= maxBytes;
    while (!fits()) {
      const next = others.shift();
      if (next === undefined) break;
      forget(next);
    }
    const until = Date.now() + roomWaitMs;
    while (fits() && used() + bytes > maxBytes && Date.now() < until) await delay(roomLookMs);
    if (used() + bytes > maxBytes) throw noRoom();
    return budget.reserve(bytes, `model '${name}'`);
  };

  /** One load at a time: memory is reckoned, then taken. */
  const loadVersion = (model: ResolvedModel): Promise<ServedModel> => {
    const load = loading.then(async () => {
      const known = [...inMemory].find((served) => sameContent(served.model, model) && !served.lost());
      if (known !== undefined) return known;
      const facts = await source.facts(model);
      const reservation = await makeRoom(reckonedBytes(facts, batching, encoder.instances), model.name);
      const begin = performance.now();
      const served = await serveModel(model, facts, source, encoder, batching).catch((thrown: unknown) => {
        reservation.release();
        throw thrown;
      });
      reservations.set(served, reservation);
      inMemory.add(served);
      health.set(healthName(model.name), true);
      device = served.device;
      const ms = Math.round(performance.now() - begin);
      logger.info({ model: model.name, version: model.version, ms, bytes: served.memoryBytes }, 'model loaded');
      return served;
    });
    loading = load.catch(() => {});
    load.then(
      () => metrics.modelLoads.inc({ result: 'loaded' }),
      () => metrics.modelLoads.inc({ result: 'failed' }),
    );
    return load;
  };

  const firstLoad = (reference: string): Promise<Followed> => {
    let load = firstLoads.get(reference);
    if (load === undefined) {
      load = (async () => {
        const entry = { served: await loadVersion(await source.resolve(reference)), loadError: '', failedSha256: '' };
        followed.set(reference, entry);
        return entry;
      })().finally(() => firstLoads.delete(reference));
      firstLoads.set(reference, load);
    }
    return load;
  };

  /** Looks at what `reference` stands for now; a new version is loaded beside the old one, then takes its place. */
  const follow = async (reference: string, entry: Followed): Promise<void> => {
    const now = await source.resolve(reference);
    const old = entry.served;
    if (sameContent(now, old.model) && !old.lost()) {
      entry.loadError = '';
      return;
    }
    if (now.sha256 === entry.failedSha256) return;
    try {
      const served = await loadVersion(now);
      if (followed.get(reference) !== entry) return freeIfUnused(served);
      entry.served = served;
      entry.loadError = '';
      entry.failedSha256 = '';
      logger.info({ model: reference, from: old.model.version, to: now.version }, 'model replaced');
      freeIfUnused(old);
    } catch (thrown) {
      const error = toKindredError(thrown);
      // Damage stays until the content changes; room may come, and a store may answer again.
      if (['DATA_LOSS', 'INVALID_ARGUMENT'].includes(error.code)) entry.failedSha256 = now.sha256;
      entry.loadError = publicError(error).message;
      logger.warn({ model: reference, version: now.version, serving: old.model.version, err: error }, 'not replaced');
    }
  };

  const followAll = async (): Promise<void> => {
    while (!closed.signal.aborted) {
      await delay(followMs, undefined, { signal: closed.signal }).catch(() => {});
      for (const [reference, entry] of [...followed]) {
        if (closed.signal.aborted) return;
        await follow(reference, entry).catch((thrown: unknown) => {
          // The store does not answer, or the model is gone from it: what is in memory goes on serving.
          entry.loadError = publicError(thrown).message;
        });
      }
    }
  };
  void followAll();

  /** `fault`: why the model cannot be loaded; then its file is not looked at. */
  const describeModel = async (model: ResolvedModel, fault = ''): Promise<ModelDescription> => {
    const exact = [...inMemory].find((served) => sameContent(served.model, model));
    // What is in memory is described without the store, which may not answer.
    const facts = exact?.facts ?? (fault === '' ? await source.facts(model) : noFacts);
    const { embeddingDimension, backboneDimension, cropSize, resizeSide } = facts;
    const damage = facts.fault === null ? '' : publicError(unusable(model, facts.fault)).message;
    const entry =
      followed.get(model.name) ?? [...followed.values()].find(({ served }) => served.model.name === model.name);
    return {
      ...model,
      ...{ embeddingDimension, backboneDimension, cropSize, resizeSide, fault: facts.fault },
      loaded: exact !== undefined,
      loadedVersions: [
        ...new Set(
          [...inMemory].flatMap((s) => (s.model.name === model.name && isReferred(s) ? [s.model.version] : [])),
        ),
      ],
      servingVersion: (exact ?? entry?.served)?.model.version ?? '',
      loadError: exact === undefined ? entry?.loadError || fault || damage : '',
      memoryBytes: exact?.memoryBytes ?? 0,
    };
  };

  /** The version that `reference` stands for, where it is in memory though nobody asked for it by this name. */
  const loadedUnderAnotherName = async (reference: string): Promise<ServedModel | undefined> => {
    try {
      const model = await source.resolve(reference);
      return [...inMemory].find((served) => sameContent(served.model, model));
    } catch (thrown) {
      if (isKindredError(thrown, 'NOT_FOUND')) return undefined;
      throw thrown;
    }
  };

  const models: ServedModels = {
    async acquire(reference) {
      let entry = followed.get(reference);
      // What was loaded a moment ago may have made room for another meanwhile.
      while (entry === undefined || entry.served.lost() || !inMemory.has(entry.served)) {
        if (entry !== undefined) forget(entry.served);
        entry = await firstLoad(reference);
      }
      // Last used, last freed.
      followed.delete(reference);
      followed.set(reference, entry);
      const { served } = entry;
      leases.set(served, (leases.get(served) ?? 0) + 1);
      let held = true;
      return {
        served,
        release() {
          if (!held) return;
          held = false;
          leases.set(served, (leases.get(served) ?? 1) - 1);
          freeIfUnused(served);
        },
      };
    },
    async load(reference) {
      // What the reference stands for this moment, not what it stood for at the last look.
      const entry = followed.get(reference);
      if (entry !== undefined) {
        entry.failedSha256 = '';
        await follow(reference, entry);
        if (entry.loadError !== '') throw new KindredError('FAILED_PRECONDITION', entry.loadError);
      }
      const { served, release } = await models.acquire(reference);
      release();
      return await describeModel(served.model);
    },
    async unload(reference) {
      await firstLoads.get(reference)?.catch(() => {});
      const served = followed.get(reference)?.served ?? (await loadedUnderAnotherName(reference));
      if (served !== undefined) forget(served);
    },
    async unloadAll(name) {
      const loads = [...firstLoads].filter(([reference]) => nameIn(reference) === name);
      await Promise.allSettled(loads.map(([, load]) => load));
      for (const served of [...inMemory]) if (served.model.name === name) forget(served);
    },
    fullForMs() {
      let soonest: number | null = null;
      for (const { served } of followed.values()) {
        const wait = served.queue.fullForMs();
        if (wait === null) return null;
        soonest = soonest === null ? wait : Math.min(soonest, wait);
      }
      return soonest;
    },
    async ready(reference) {
      if (followed.has(reference)) return true;
      const versions = [...inMemory].filter(({ model }) => model.name === nameIn(reference));
      if (versions.some(({ model }) => reference === `${model.name}@${model.version}`)) return true;
      // Whoever asks needs no token: the store is asked about names in memory alone.
      if (versions.length === 0) return false;
      return (await loadedUnderAnotherName(reference).catch(() => undefined)) !== undefined;
    },
    async list() {
      const { models: found, damaged } = await source.list();
      const described = await Promise.all(
        damaged.map(({ name, problem }) => describeModel({ name, ...nothingKnown }, problem)),
      );
      // One after the other: what is not known yet of a model is read from its file, which is in memory meanwhile.
      for (const model of found) {
        // One whose file is gone says so; the others are listed all the same.
        const description = describeModel(model).catch((thrown: unknown) => {
          if (!isKindredError(thrown, 'NOT_FOUND')) throw thrown;
          return describeModel(model, goneText);
        });
        described.push(await description);
      }
      return described.sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    async loaded() {
      const described = await Promise.all([...inMemory].map(({ model }) => describeModel(model)));
      return described.sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    async describe(reference) {
      const model = await source.resolve(reference);
      const description = await describeModel(model);
      if (description.fault === null) return description;
      const older = followed.get(reference)?.served;
      if (older === undefined) throw unusable(model, description.fault);
      return describeModel(older.model);
    },
    device: () => device,
    close: () => closed.abort(),
  };
  watchModelBytes(used);
  return models;
}

/** The name in a reference. */
function nameIn(reference: string): string {
  return reference.split('@', 1)[0] ?? '';
}

/** What `grpc.health.v1` is asked for a model. */
function healthName(model: string): string {
  return `models/${model}`;
}

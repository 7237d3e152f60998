// All collections of the service by name or alias, over its engines.
import { KindredError, invalidField, notFound } from '@kindred/errors';
import type { Aliases } from './aliases.js';
import type { Collection, CollectionSummary, Engine } from './engine/engine.js';
import type { CollectionSpec, EngineKind } from './engine/spec.js';
import type { Limits } from './limits.js';

/** The collections. */
export interface Collections {
  /** Finds what exists, and then reads it; every call before all names are known is UNAVAILABLE. */
  load(): Promise<void>;
  /** Makes a collection; ALREADY_EXISTS when there is one of other content or an alias of that name. */
  create(name: string, spec: CollectionSpec): Promise<Collection>;
  /** By name or alias. NOT_FOUND, DATA_LOSS, UNAVAILABLE. */
  get(nameOrAlias: string): Collection;
  /** By name or alias, damaged ones too. NOT_FOUND. */
  describe(nameOrAlias: string): CollectionSummary;
  /** By name, damaged ones too. */
  list(): CollectionSummary[];
  /** By name, with the aliases that stand for it. UNAVAILABLE: it is being read. */
  delete(name: string): Promise<void>;
  /** Lets `make` make a collection of a name that is free; ALREADY_EXISTS when it is taken. */
  restore(name: string, make: () => Promise<Collection>): Promise<Collection>;
  /** The engine of a kind. UNIMPLEMENTED where the service runs without it. */
  engine(kind: EngineKind): Engine;
  readonly kinds: readonly EngineKind[];
  readonly aliases: Aliases;
  close(): Promise<void>;
}

const nameForm = /^[a-z0-9-]{1,63}$/;

/** INVALID_ARGUMENT unless `name` is 1 to 63 lower-case letters, digits and dashes. */
export function checkName(name: string, field: string): void {
  if (!nameForm.test(name)) {
    throw invalidField(field, `got '${name.slice(0, 80)}'; allowed: 1 to 63 lower-case letters, digits and dashes`);
  }
}

/** Makes the set; call {@link Collections.load} next. */
export function createCollections(engines: readonly Engine[], aliases: Aliases, limits: Limits): Collections {
  let turn: Promise<unknown> = Promise.resolve();
  let loaded = false;
  const one = <T>(work: () => Promise<T>): Promise<T> => {
    const running = turn.then(work);
    turn = running.catch(() => {});
    return running;
  };
  const ready = (): void => {
    if (!loaded)
      throw new KindredError('UNAVAILABLE', 'the collections are being found; retry shortly', { retryAfterMs: 1000 });
  };
  const list = (): CollectionSummary[] =>
    engines.flatMap((engine) => engine.list()).sort((a, b) => (a.name < b.name ? -1 : 1));
  const engineOf = (name: string): Engine | null =>
    engines.find((engine) => engine.list().some((one) => one.name === name)) ?? null;
  const engine = (kind: EngineKind): Engine => {
    const found = engines.find((one) => one.kind === kind);
    if (found !== undefined) return found;
    throw new KindredError(
      'UNIMPLEMENTED',
      `this service runs without the engine '${kind}'; it has: ${engines.map((e) => e.kind).join(', ')}`,
    );
  };
  const get = (nameOrAlias: string): Collection => {
    ready();
    const name = aliases.resolve(nameOrAlias);
    const collection = engineOf(name)?.get(name) ?? null;
    if (collection === null) throw notFound('collection', nameOrAlias);
    return collection;
  };
  const exists = (name: string): KindredError =>
    new KindredError('ALREADY_EXISTS', `'${name}' exists already; delete it first, or choose another name`, {
      resource: { type: 'collection', name },
    });

  return {
    aliases,
    engine,
    kinds: engines.map(({ kind }) => kind),
    async load() {
      await Promise.all(engines.map((one) => one.find()));
      // From here on names are known; each collection answers as soon as it is read.
      loaded = true;
      await Promise.all(engines.map((one) => one.open()));
    },
    create(name, spec) {
      ready();
      checkName(name, 'collection');
      return one(async () => {
        if (aliases.resolve(name) !== name) throw exists(name);
        const existing = list().find((summary) => summary.name === name);
        if (existing !== undefined) {
          if (existing.state === 'ready' && sameSpec(existing.spec, spec)) return get(name);
          throw exists(name);
        }
        if (list().length >= limits.maxCollections) {
          throw new KindredError(
            'RESOURCE_EXHAUSTED',
            `got collection ${limits.maxCollections + 1}; allowed: ${limits.maxCollections} (KINDRED_NEIGHBOR_INDEX_MAX_COLLECTIONS)`,
          );
        }
        return engine(spec.engine).create(name, spec);
      });
    },
    get,
    describe(nameOrAlias) {
      ready();
      const name = aliases.resolve(nameOrAlias);
      const found = list().find((summary) => summary.name === name);
      if (found === undefined) throw notFound('collection', nameOrAlias);
      return found;
    },
    list() {
      ready();
      return list();
    },
    delete(name) {
      ready();
      checkName(name, 'collection');
      return one(async () => {
        const owner = engineOf(name);
        // UNAVAILABLE from `get`, before its aliases are gone.
        if (owner?.list().some((one) => one.name === name && one.state === 'loading')) owner.get(name);
        await aliases.removeTargets(name);
        await owner?.delete(name);
      });
    },
    restore(name, make) {
      ready();
      checkName(name, 'collection');
      return one(async () => {
        if (aliases.resolve(name) !== name || engineOf(name) !== null) throw exists(name);
        return make();
      });
    },
    async close() {
      for (const one of engines) await one.close();
    },
  };
}

function sameSpec(a: CollectionSpec, b: CollectionSpec): boolean {
  const flat = (spec: CollectionSpec): string =>
    JSON.stringify([
      spec.dimension,
      spec.metric,
      spec.description,
      spec.index,
      spec.durability,
      spec.engine,
      spec.weaviate,
    ]);
  return flat(a) === flat(b);
}

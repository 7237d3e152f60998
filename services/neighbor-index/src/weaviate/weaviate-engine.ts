// The Weaviate engine: collections that a cluster shards and replicates, behind the same contract as those of this disk.
import { setTimeout as delay } from 'node:timers/promises';
import { KindredError, isKindredError, toKindredError } from '@kindred/errors';
import type { HealthBoard, Logger } from '@kindred/service-runtime';
import type { Collection, CollectionSummary, Engine } from '../engine/engine.js';
import { healthName } from '../engine/health-name.js';
import type { Disk } from '../storage/disk.js';
import { classNameOf, classSchema, readClass, type DescribedClass } from './class-schema.js';
import { createCluster, type WeaviateSettings } from './cluster.js';
import { createRegister } from './register.js';
import { createWeaviateCollection } from './weaviate-collection.js';

/** What it lives on. */
export interface WeaviateEngineParts {
  readonly settings: WeaviateSettings;
  readonly disk: Disk;
  readonly logger: Logger;
  /** Told of each collection. */
  readonly health: HealthBoard;
  /** Whether another engine has a collection of this name. */
  readonly isTaken: (name: string) => boolean;
}

interface Entry {
  readonly described: DescribedClass;
  readonly collection: Collection;
  /** '' unless the cluster does not have it. */
  readonly problem: string;
}

/** Pause between tries to read the cluster's schema. */
const retryMs = 2_000;
/** How long a node may take to hear of a class that another one made or deleted, and the pause between questions. */
const heardMs = 10_000;
const heardPauseMs = 20;

/** Makes the engine; no node is asked before {@link Engine.open}. */
export function createWeaviateEngine({ settings, disk, logger, health, isTaken }: WeaviateEngineParts): Engine {
  const { prefix, consistency } = settings;
  const cluster = createCluster(settings, logger, () => tellHealth());
  const register = createRegister(disk);
  const entries = new Map<string, Entry>();
  const unending = new AbortController();
  let synced = false;
  let retry: NodeJS.Timeout | null = null;

  const tellHealth = (): void => {
    for (const entry of entries.values())
      health.set(healthName(entry.described.collection), stateOf(entry) === 'ready');
  };
  const stateOf = ({ problem }: Entry): CollectionSummary['state'] =>
    problem !== '' ? 'damaged' : synced && cluster.reachable() ? 'ready' : 'loading';
  const enter = (described: DescribedClass, problem = ''): Collection => {
    const collection = createWeaviateCollection(described, { cluster, prefix, consistency });
    entries.set(described.collection, { described, collection, problem });
    tellHealth();
    return collection;
  };
  const save = (): Promise<void> => register.save([...entries.values()].map(({ described }) => described));
  /** What the cluster has, is: classes that were made by another service of this prefix are taken up. */
  const sync = async (): Promise<void> => {
    const classes = await cluster.read((node) => node.classes(), unending.signal);
    const there = new Map(
      classes.flatMap((one) => {
        const described = readClass(prefix, one);
        return described === null ? [] : [[described.collection, described] as const];
      }),
    );
    for (const [name, { described }] of entries) {
      const className = classNameOf(prefix, name);
      enter(
        described,
        there.has(name) ? '' : `the cluster of Weaviate has no class ${className}; delete the collection`,
      );
    }
    for (const [name, described] of there) {
      if (entries.has(name)) continue;
      if (isTaken(name)) {
        logger.error({ collection: name }, 'a class of Weaviate has the name of another collection; it is left aside');
        continue;
      }
      enter(described);
    }
    await save();
    synced = true;
    tellHealth();
    logger.info({ collections: entries.size }, 'collections of Weaviate found');
  };
  /**
   * Waits until the node that is asked has heard that a class is there, or gone: one that did not make or delete it does a moment later.
   * What it says of the class until then is wrong, which is a nuisance; the collection is as the cluster has it all the same.
   */
  const untilHeard = async (className: string, isThere: boolean): Promise<void> => {
    const end = performance.now() + heardMs;
    const hasClass = (): Promise<boolean> =>
      cluster
        .read((node) => node.count(className, null, 'one'), unending.signal)
        .then(
          () => true,
          (thrown: unknown) => {
            if (isKindredError(thrown, 'NOT_FOUND')) return false;
            throw thrown;
          },
        );
    try {
      while ((await hasClass()) !== isThere) {
        if (performance.now() > end) throw new KindredError('DEADLINE_EXCEEDED', `not heard of in ${heardMs} ms`);
        await delay(heardPauseMs, undefined, { signal: unending.signal });
      }
    } catch (thrown) {
      if (unending.signal.aborted) throw thrown;
      const change = isThere ? 'made' : 'deleted';
      logger.warn(
        { class: className, err: toKindredError(thrown) },
        `a class was ${change}; its node may not know it yet`,
      );
    }
  };
  const summaryOf = (entry: Entry): CollectionSummary => {
    const { collection: name, spec, createTime } = entry.described;
    return { name, spec, createTime, state: stateOf(entry), problem: entry.problem };
  };

  return {
    kind: 'weaviate',
    async find() {
      for (const described of await register.load()) enter(described);
    },
    async open() {
      try {
        await sync();
      } catch (thrown) {
        if (unending.signal.aborted) return;
        logger.warn({ err: toKindredError(thrown) }, 'the collections of Weaviate cannot be found yet; tried again');
        retry = setTimeout(() => void this.open(), retryMs);
        retry.unref();
      }
    },
    async create(name, spec) {
      const described = { collection: name, spec, createTime: new Date() };
      await cluster.write(async (node) => {
        try {
          await node.createClass(classSchema(prefix, described));
        } catch (thrown) {
          // A try before this one may have made it.
          const className = classNameOf(prefix, name);
          const made = (await node.classes().catch(() => [])).find((one) => one.name === className);
          if (made === undefined || !isSame(readClass(prefix, made), described)) throw explained(thrown, spec.weaviate);
        }
      }, unending.signal);
      await untilHeard(classNameOf(prefix, name), true);
      const collection = enter(described);
      await save();
      return collection;
    },
    list: () => [...entries.values()].map(summaryOf),
    get(name) {
      const entry = entries.get(name);
      if (entry === undefined) return null;
      if (entry.problem !== '') {
        throw new KindredError('DATA_LOSS', `collection '${name}': ${entry.problem}`, {
          resource: { type: 'collection', name },
        });
      }
      return entry.collection;
    },
    async delete(name) {
      if (!entries.has(name)) return;
      await cluster.write((node) => node.deleteClass(classNameOf(prefix, name)), unending.signal);
      entries.delete(name);
      health.remove(healthName(name));
      await save();
      // Else a collection of this name that is made at once would be taken for the old one.
      await untilHeard(classNameOf(prefix, name), false);
    },
    async close() {
      unending.abort();
      if (retry !== null) clearTimeout(retry);
      await cluster.close();
    },
  };
}

function isSame(a: DescribedClass | null, b: DescribedClass): boolean {
  return (
    a !== null && a.createTime.getTime() === b.createTime.getTime() && JSON.stringify(a.spec) === JSON.stringify(b.spec)
  );
}

/** More replicas than nodes is the usual reason. */
function explained(thrown: unknown, options: DescribedClass['spec']['weaviate']): unknown {
  if (!isKindredError(thrown, 'INTERNAL') || !/replic/i.test(thrown.message)) return thrown;
  return new KindredError(
    'FAILED_PRECONDITION',
    `${thrown.message}; got ${options?.replicas} replicas; allowed: as many as the cluster has nodes`,
    { cause: thrown },
  );
}

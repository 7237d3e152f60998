// The embedded engine: collections in folders of this machine's disk, searched with faiss in this process.
import { KindredError, toKindredError } from '@kindred/errors';
import type { HealthBoard, Logger } from '@kindred/service-runtime';
import { openEmbeddedCollection, type EmbeddedCollection } from '../collection/embedded-collection.js';
import type { MaintenanceSettings } from '../collection/maintenance.js';
import { isNoCollection, makeFiles, removeFiles } from '../collection/open-files.js';
import type { Limits } from '../limits.js';
import { metrics, watchCollections, type CollectionFigures } from '../metrics.js';
import type { Disk } from '../storage/disk.js';
import type { CollectionSummary, Engine } from './engine.js';
import { healthName } from './health-name.js';
import { createQuotas, type Quotas, type Usage } from './quotas.js';
import type { CollectionSpec } from './spec.js';

/** The engine, with what snapshots and quotas need of it. */
export interface EmbeddedEngine extends Engine {
  get(name: string): EmbeddedCollection | null;
  create(name: string, spec: CollectionSpec): Promise<EmbeddedCollection>;
  /** Opens a collection whose files were put in their place by someone else. */
  adopt(name: string): Promise<EmbeddedCollection>;
  /** Where a collection's files belong. */
  folderOf(name: string): string;
  readonly disk: Disk;
  readonly quotas: Quotas;
  usage(): Usage;
}

/** What it lives on. */
export interface EmbeddedEngineParts {
  readonly disk: Disk;
  readonly limits: Limits;
  readonly logger: Logger;
  readonly maintenance: MaintenanceSettings;
  /** Told of each collection, under `collections/<name>`. */
  readonly health: HealthBoard;
}

interface Entry {
  readonly collection: EmbeddedCollection | null;
  readonly summary: CollectionSummary;
  readonly error: KindredError | null;
}

const root = 'collections';
/** Of a collection that cannot be read nothing is known. */
const unknownSpec: CollectionSpec = {
  dimension: 1,
  metric: 'inner-product',
  description: '',
  index: { kind: 'flat' },
  durability: 'synced',
  engine: 'embedded',
  weaviate: null,
};

/** Makes the engine; {@link Engine.find} finds what is on the disk. */
export function createEmbeddedEngine(parts: EmbeddedEngineParts): EmbeddedEngine {
  const { disk, limits, logger, maintenance, health } = parts;
  const entries = new Map<string, Entry>();
  let closed = false;
  const folderOf = (name: string): string => `${root}/${name}`;
  const opened = (): EmbeddedCollection[] => [...entries.values()].flatMap(({ collection }) => collection ?? []);

  const usage = (): Usage => {
    const all = opened();
    return {
      collections: entries.size,
      vectors: all.reduce((sum, { contents }) => sum + contents.size, 0),
      memoryBytes: all.reduce((sum, one) => sum + one.memoryBytes(), 0),
      diskBytes: all.reduce((sum, one) => sum + one.diskBytes(), 0),
    };
  };
  const quotas = createQuotas(limits, usage);
  const read = (name: string): Promise<EmbeddedCollection> =>
    openEmbeddedCollection(name, {
      disk,
      folder: folderOf(name),
      quotas,
      maintenance,
      onError: (err) => logger.error({ collection: name, err }, 'background work failed; it is tried again'),
      onBroken: () => health.set(healthName(name), false),
      onProgress: (rows, total) => logger.info({ collection: name, rows, total }, 'collection is being read'),
    });
  const enter = (name: string, collection: EmbeddedCollection): EmbeddedCollection => {
    const { spec, createTime } = collection;
    entries.set(name, { collection, error: null, summary: { name, spec, createTime, state: 'ready', problem: '' } });
    health.set(healthName(name), true);
    return collection;
  };
  const adopt = async (name: string): Promise<EmbeddedCollection> => enter(name, await read(name));
  const isLoading = ({ summary }: Entry): boolean => summary.state === 'loading';
  const beingRead = (name: string): KindredError =>
    new KindredError('UNAVAILABLE', `collection '${name}' is being read; retry shortly`, { retryAfterMs: 1000 });
  const fail = (name: string, thrown: unknown): void => {
    const error = toKindredError(thrown);
    const before = entries.get(name)?.summary;
    const summary = { name, spec: before?.spec ?? unknownSpec, createTime: before?.createTime ?? new Date(0) };
    entries.set(name, { collection: null, error, summary: { ...summary, state: 'damaged', problem: error.message } });
    health.set(healthName(name), false);
    logger.error({ collection: name, err: error }, 'collection cannot be used');
  };

  watchCollections(() => ({ count: entries.size, all: opened().map(figuresOf) }));

  return {
    kind: 'embedded',
    disk,
    quotas,
    folderOf,
    usage,
    async find() {
      await disk.makeFolder(root);
      for (const name of (await disk.list(root)).sort()) {
        try {
          if (await isNoCollection(disk, folderOf(name))) {
            await removeFiles(disk, folderOf(name), () => {});
            continue;
          }
        } catch (thrown) {
          fail(name, thrown);
          continue;
        }
        const loading = { name, spec: unknownSpec, createTime: new Date(0), state: 'loading', problem: '' } as const;
        entries.set(name, { collection: null, error: null, summary: loading });
        health.set(healthName(name), false);
      }
    },
    async open() {
      // A copy: what is made meanwhile is open already.
      for (const [name, entry] of [...entries].filter(([, one]) => isLoading(one))) {
        if (closed) return;
        const began = performance.now();
        try {
          const collection = await read(name);
          if (closed || entries.get(name) !== entry) {
            await collection.close();
            continue;
          }
          const { contents } = enter(name, collection);
          const seconds = ((performance.now() - began) / 1000).toFixed(2);
          logger.info({ collection: name, size: contents.size, seconds }, 'collection loaded');
        } catch (thrown) {
          if (entries.get(name) === entry) fail(name, thrown);
        }
      }
    },
    async create(name, spec) {
      await makeFiles(disk, folderOf(name), spec, new Date());
      return adopt(name);
    },
    adopt,
    list: () => [...entries.values()].map(({ summary }) => summary),
    get(name) {
      const entry = entries.get(name);
      if (entry === undefined) return null;
      if (entry.error !== null) throw entry.error;
      if (entry.collection !== null) return entry.collection;
      throw beingRead(name);
    },
    async delete(name) {
      const entry = entries.get(name);
      // Its files are in use by the one who reads them.
      if (entry !== undefined && isLoading(entry)) throw beingRead(name);
      await entry?.collection?.close();
      await removeFiles(disk, folderOf(name), () => {
        entries.delete(name);
        health.remove(healthName(name));
        if (entry !== undefined)
          metrics.searchSeconds.remove({ collection: name, kind: entry.summary.spec.index.kind });
      });
    },
    async close() {
      closed = true;
      for (const collection of opened()) await collection.close();
    },
  };
}

function figuresOf(collection: EmbeddedCollection): CollectionFigures {
  const { name, contents, files } = collection;
  return {
    name,
    points: contents.size,
    memoryBytes: collection.memoryBytes(),
    diskBytes: collection.diskBytes(),
    logBytes: files.log.bytes(),
  };
}

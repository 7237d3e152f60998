// Pushed datasets in the artifact store, as the catalogue sees them.
import type { ArtifactStore } from '@kindred/artifact-store';
import { splitsOfSet } from '@kindred/datasets';
import { isKindredError } from '@kindred/errors';
import {
  listManifests,
  parseDatasetArtifact,
  pinnedDatasetArtifact,
  readDatasetSet,
  resolveDatasetArtifact,
  type DatasetFile,
  type DatasetSet,
} from '@kindred/lineage';
import type { Logger } from '@kindred/service-runtime';
import type { DatasetKey, SplitName } from './dataset-key.js';
import { splitTexts } from './split-text.js';
import type { ShardCache } from './shard-cache.js';

/** Pushed datasets. */
export interface DatasetArtifacts {
  /** The name with its content pinned, `artifact:NAME@HASH`. NOT_FOUND when there is no such dataset. */
  pin(name: string): Promise<string>;
  /** What a pinned dataset consists of. */
  describe(pinned: string): Promise<DatasetSet>;
  /** Bytes that a split of a pinned dataset takes in memory. */
  estimate(key: DatasetKey): Promise<number>;
  /** The content of a file of a dataset, checked. */
  fetch(file: DatasetFile, dataset: string): Promise<Uint8Array>;
  /**
   * All that have a name, by name and split; none, with a word in the log, while the store does not answer. A damaged one
   * is left out and named in the log.
   */
  list(): Promise<DatasetKey[]>;
}

/** Bytes of memory an image takes beside its pixels: its place, size and label. */
const imageBytes = 20;

/** What pushed datasets are read from; both are opened when the first is asked for. */
export interface DatasetArtifactsParts {
  readonly store: () => Promise<ArtifactStore>;
  readonly shards: () => Promise<ShardCache>;
  readonly logger: Logger;
}

/** Makes the part of the catalogue that knows pushed datasets. */
export function createDatasetArtifacts({ store, shards, logger }: DatasetArtifactsParts): DatasetArtifacts {
  const field = 'dataset.name';
  const describe = async (pinned: string): Promise<DatasetSet> => {
    const opened = await store();
    const { sha256 } = await resolveDatasetArtifact(opened, parseDatasetArtifact(pinned, field));
    return readDatasetSet(opened, sha256);
  };
  return {
    async pin(name) {
      return pinnedDatasetArtifact(await resolveDatasetArtifact(await store(), parseDatasetArtifact(name, field)));
    },
    describe,
    async estimate({ name, split }) {
      const parts = splitsOfSet(await describe(name), name, splitTexts[split]);
      return parts.reduce((sum, { pixelBytes, images }) => sum + pixelBytes + images * imageBytes, 0);
    },
    fetch: async (file, dataset) => (await shards()).fetch(file, dataset),
    async list() {
      try {
        return await listAll();
      } catch (thrown) {
        // The datasets in files are there all the same.
        logger.warn({ err: thrown }, 'pushed datasets could not be listed');
        return [];
      }
    },
  };

  async function listAll(): Promise<DatasetKey[]> {
    const keys: DatasetKey[] = [];
    const opened = await store();
    for await (const { id, key, manifest } of listManifests(opened, ['dataset'])) {
      const set = manifest?.config['set'];
      if (typeof set !== 'string') {
        leaveOut(id, `${key} is damaged, or of a later version of Kindred`);
        continue;
      }
      const splits = await splitsOf(opened, set, id);
      if (splits === null) continue;
      for (const split of Object.keys(splitTexts) as SplitName[]) {
        const known = splits[splitTexts[split]] !== undefined;
        if (known) keys.push({ name: `artifact:${id}`, split, root: '', drawnSize: 0, drawnSeed: 0 });
      }
    }
    return keys;
  }

  /** Null, with a word in the log that names it, when the description is damaged or gone: the others are listed. */
  async function splitsOf(opened: ArtifactStore, sha256: string, id: string): Promise<DatasetSet['splits'] | null> {
    try {
      return (await readDatasetSet(opened, sha256)).splits;
    } catch (thrown) {
      if (!isKindredError(thrown, 'DATA_LOSS') && !isKindredError(thrown, 'NOT_FOUND')) throw thrown;
      leaveOut(id, thrown.message);
      return null;
    }
  }

  function leaveOut(id: string, why: string): void {
    logger.error({ dataset: `artifact:${id}` }, `a pushed dataset is left out of the list: ${why}`);
  }
}

// The thread that opens datasets: reading, decoding, drawing and hashing keep a core busy for seconds.
import type { MessagePort } from 'node:worker_threads';
import { openDataset, openDatasetArtifact, type Dataset } from '@kindred/datasets';
import { KindredError, isKindredError } from '@kindred/errors';
import type { DatasetSet } from '@kindred/lineage';
import { workerTask } from '@kindred/workers';
import type { DatasetKey } from './dataset-key.js';
import type { OpenDataset } from './open-dataset.js';
import { askForShards } from './shard-port.js';
import { splitTexts } from './split-text.js';

/** What opens a dataset; `set` and `shards` for one in the artifact store. */
export interface OpenRequest {
  readonly key: DatasetKey;
  readonly set?: DatasetSet;
  /** Where its shards are asked for; closed at the end. */
  readonly shards?: MessagePort;
}

/** Opens the dataset of a resolved key. NOT_FOUND when it is missing, INVALID_ARGUMENT naming the file that is broken. */
export const open = workerTask(async ({ key, set, shards }: OpenRequest): Promise<OpenDataset> => {
  if (set === undefined || shards === undefined) return openFiles(key);
  try {
    const { name, split } = key;
    return plainForm(await openDatasetArtifact({ name, split: splitTexts[split], set, fetch: askForShards(shards) }));
  } finally {
    shards.close();
  }
});

async function openFiles({ name, split, root, drawnSize, drawnSeed }: DatasetKey): Promise<OpenDataset> {
  // Only STL-10 has an unlabelled part; elsewhere "training and unlabelled" is the training split.
  const part = split === 'train+unlabeled' && name !== 'stl-10' ? 'train' : split;
  try {
    const dataset = await openDataset({
      name,
      split: splitTexts[part],
      root,
      seed: drawnSeed,
      count: drawnSize === 0 ? undefined : drawnSize,
    });
    return plainForm(dataset);
  } catch (thrown) {
    throw asCallersMistake(thrown);
  }
}

function plainForm({ size, height, width, classNames, contentHash, table }: Dataset): OpenDataset {
  return { size, height, width, classNames, contentHash, table };
}

/** Damaged files are the caller's to mend: the contract calls them INVALID_ARGUMENT. */
function asCallersMistake(thrown: unknown): unknown {
  if (!isKindredError(thrown, 'DATA_LOSS')) return thrown;
  return new KindredError('INVALID_ARGUMENT', thrown.message, {
    resource: thrown.resource ?? undefined,
    cause: thrown,
  });
}

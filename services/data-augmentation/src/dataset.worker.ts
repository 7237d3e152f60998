// The thread that opens datasets: reading, decoding, drawing and hashing keep a core busy for seconds.
import { openDataset } from '@kindred/datasets';
import { KindredError, isKindredError } from '@kindred/errors';
import { workerTask } from '@kindred/workers';
import type { DatasetKey, SplitName } from './dataset-key.js';
import type { OpenDataset } from './open-dataset.js';

const splits: Record<SplitName, string> = {
  train: 'train',
  validation: 'val',
  unlabeled: 'unlabeled',
  'train+unlabeled': 'train+unlabeled',
};

/** Opens the dataset of a resolved key. NOT_FOUND when it is missing, INVALID_ARGUMENT naming the file that is broken. */
export const open = workerTask(
  async ({ name, split, root, drawnSize, drawnSeed }: DatasetKey): Promise<OpenDataset> => {
    // Only STL-10 has an unlabelled part; elsewhere "training and unlabelled" is the training split.
    const part = split === 'train+unlabeled' && name !== 'stl-10' ? 'train' : split;
    try {
      const dataset = await openDataset({
        name,
        split: splits[part],
        root,
        seed: drawnSeed,
        count: drawnSize === 0 ? undefined : drawnSize,
      });
      const { size, height, width, classNames, contentHash, table } = dataset;
      return { size, height, width, classNames, contentHash, table };
    } catch (thrown) {
      throw asCallersMistake(thrown);
    }
  },
);

/** Damaged files are the caller's to mend: the contract calls them INVALID_ARGUMENT. */
function asCallersMistake(thrown: unknown): unknown {
  if (!isKindredError(thrown, 'DATA_LOSS')) return thrown;
  return new KindredError('INVALID_ARGUMENT', thrown.message, {
    resource: thrown.resource ?? undefined,
    cause: thrown,
  });
}

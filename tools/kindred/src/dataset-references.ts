// The data set splits that an experiment's steps read.
import { Split, type DatasetReference } from '@kindred/protocol/augmentation';
import type { Experiment } from '@kindred/experiment';

/** The split whose neighbours are mined, and the one that they are checked on, as the reference takes them. */
export function datasetReferences(
  experiment: Experiment,
  root: string,
): { readonly train: DatasetReference; readonly validation: DatasetReference } {
  const { train_db_name: trainName, val_db_name: validationName, drawn_kwargs: drawn } = experiment;
  const drawnSeed = BigInt(drawn.seed);
  return {
    train: { name: trainName, split: Split.TRAIN, root, drawnSize: trainName === 'drawn' ? drawn.train_size : 0, drawnSeed },
    validation: {
      name: validationName,
      split: Split.VALIDATION,
      root,
      drawnSize: validationName === 'drawn' ? drawn.val_size : 0,
      drawnSeed,
    },
  };
}

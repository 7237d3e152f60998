// The data set splits that an experiment's steps read.
import { Split, type DatasetReference } from '@kindred/protocol/augmentation';
import type { Experiment } from '@kindred/experiment';

/** The split whose neighbours are mined, and the one that they are checked on, as the reference takes them. */
export function datasetReferences(
  experiment: Experiment,
  root: string,
): { readonly train: DatasetReference; readonly validation: DatasetReference } {
  const { train_db_name: trainName, val_db_name: validationName, drawn_kwargs: drawn } = experiment;
  const reference = (name: string, split: Split, drawnSize: number): DatasetReference =>
    name === 'drawn'
      ? { name, split, root: '', drawnSize, drawnSeed: BigInt(drawn.seed) }
      : { name, split, root, drawnSize: 0, drawnSeed: 0n };
  return {
    train: reference(trainName, Split.TRAIN, drawn.train_size),
    validation: reference(validationName, Split.VALIDATION, drawn.val_size),
  };
}

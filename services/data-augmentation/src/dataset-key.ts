// What names one split of one dataset inside this service.

/** Datasets that can be opened, by the names that requests use. */
export const datasetNames = ['cifar-10', 'cifar-20', 'stl-10', 'folder', 'drawn'] as const;

/** One of {@link datasetNames}. */
export type DatasetName = (typeof datasetNames)[number];

/** Parts of a dataset. */
export type SplitName = 'train' | 'validation' | 'unlabeled' | 'train+unlabeled';

/** One split of one dataset. */
export interface DatasetKey {
  readonly name: DatasetName;
  readonly split: SplitName;
  /** Folder or zip file; empty: the service's default root. */
  readonly root: string;
  /** Images of `drawn`; 0: its default. */
  readonly drawnSize: number;
  /** Seed of `drawn`, up to 2^53 - 1. */
  readonly drawnSeed: number;
}

/** Text that is equal for equal datasets: what does not matter to a dataset does not enter it. */
export function datasetKeyText({ name, split, root, drawnSize, drawnSeed }: DatasetKey): string {
  return name === 'drawn' ? `${name} ${split} ${drawnSize} ${drawnSeed}` : `${name} ${split} ${root}`;
}

// What names one split of one dataset inside this service.

/** Parts of a dataset. */
export type SplitName = 'train' | 'validation' | 'unlabeled' | 'train+unlabeled';

/** One split of one dataset. */
export interface DatasetKey {
  /** `cifar-10`, `cifar-20`, `stl-10`, `folder`, `drawn`, or a pushed dataset, `artifact:NAME@HASH`. */
  readonly name: string;
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

// The data sets that can be opened, described for listings.
import { cifar10Classes, cifar20Classes, cifarSplits } from './cifar.js';
import { drawnSplits } from './drawn.js';
import { drawnClasses } from './drawn-classes.js';
import { folderSplits } from './folder.js';
import { stl10Classes, stl10Splits } from './stl10.js';

/** What a data set is, before it is opened. */
export interface DatasetDescription {
  readonly name: DatasetName;
  /** One sentence for people. */
  readonly title: string;
  readonly splits: readonly string[];
  /** Whether `root` must be given. */
  readonly needsRoot: boolean;
  /** Whether {@link fetchDataset} knows an official archive. */
  readonly canFetch: boolean;
  /** `null` when the files decide. */
  readonly classNames: readonly string[] | null;
}

/** Names that {@link openDataset} takes. */
export const datasetNames = ['drawn', 'cifar-10', 'cifar-20', 'stl-10', 'folder'] as const;

/** One of {@link datasetNames}. */
export type DatasetName = (typeof datasetNames)[number];

/** Every data set, in the order of {@link datasetNames}. */
export const datasetDescriptions: readonly DatasetDescription[] = [
  {
    name: 'drawn',
    title: 'Ten classes of textured shapes, 32×32, drawn by formula from a seed',
    splits: drawnSplits,
    needsRoot: false,
    canFetch: false,
    classNames: drawnClasses.map(({ name }) => name),
  },
  {
    name: 'cifar-10',
    title: 'CIFAR-10, binary version: ten classes, 32×32',
    splits: cifarSplits,
    needsRoot: true,
    canFetch: true,
    classNames: cifar10Classes,
  },
  {
    name: 'cifar-20',
    title: 'CIFAR-100, binary version, with its twenty superclasses, 32×32',
    splits: cifarSplits,
    needsRoot: true,
    canFetch: true,
    classNames: cifar20Classes,
  },
  {
    name: 'stl-10',
    title: 'STL-10, binary version: ten classes, 96×96, and 100,000 images without labels',
    splits: stl10Splits,
    needsRoot: true,
    canFetch: true,
    classNames: stl10Classes,
  },
  {
    name: 'folder',
    title: 'A folder or .zip of images by class: train/<class>/*.png, .jpg, .webp beside val/ or test/',
    splits: folderSplits,
    needsRoot: true,
    canFetch: false,
    classNames: null,
  },
];

/** Whether `name` is one of {@link datasetNames}. */
export function isDatasetName(name: string): name is DatasetName {
  return (datasetNames as readonly string[]).includes(name);
}

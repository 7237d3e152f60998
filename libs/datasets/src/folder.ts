// Images by class in folders, plain or zipped: <root>/train/<class>/*.png beside val/ or test/, or <root>/<class>/* alone.
import { stat } from 'node:fs/promises';
import { KindredError, notFound } from '@kindred/errors';
import type { DatasetParts } from './dataset.js';
import { decodeImages } from './decode-images.js';
import { listFolder } from './folder-files.js';
import type { ImageCollection, ImageSource } from './image-source.js';
import { requiredRoot, unknownSplit } from './open-options.js';
import type { OpenDatasetOptions } from './open-options.js';
import { openZip } from './zip-files.js';

/** Splits of a folder; `val` and `test` stand for each other where only one is there. */
export const folderSplits = ['train', 'val', 'test', 'all'] as const;

/** Of a folder without split subfolders, every so manieth image of a class (from the first) is for validation. */
const holdOutEvery = 10;

interface LabeledSource {
  readonly source: ImageSource;
  readonly split: 'train' | 'val' | 'test' | null;
  readonly className: string;
}

/** The encoded images of a folder split, in their order. */
export interface FolderImages {
  readonly classNames: readonly string[];
  readonly sources: readonly ImageSource[];
  /** Class of each image, an index into `classNames`. */
  readonly labels: readonly number[];
}

/** Reads a folder split. */
export async function readFolder(options: OpenDatasetOptions): Promise<DatasetParts> {
  const { name, split } = options;
  return withFolderImages(options, async ({ classNames, sources, labels }) => {
    const table = await decodeImages(sources, options);
    table.labels.set(labels);
    return { name, split, classNames, table };
  });
}

/**
 * Hands the images of a folder split to `use`, for as long as that takes. Classes are the class folders of all splits
 * together, sorted, so that splits agree on labels. Errors as `openDataset`.
 */
export async function withFolderImages<T>(
  options: OpenDatasetOptions,
  use: (images: FolderImages) => Promise<T>,
): Promise<T> {
  const { name, split } = options;
  const root = requiredRoot(options);
  if (!(folderSplits as readonly string[]).includes(split)) throw unknownSplit(name, split, folderSplits);
  const collection = await openCollection(root);
  try {
    const all = labelSources(collection.sources, root);
    const classNames = [...new Set(all.map(({ className }) => className))].sort();
    const chosen = chooseSplit(all, split, root);
    const labels = chosen.map(({ className }) => classNames.indexOf(className));
    return await use({ classNames, sources: chosen.map(({ source }) => source), labels });
  } finally {
    await collection.close();
  }
}

async function openCollection(root: string): Promise<ImageCollection> {
  const found = await stat(root).catch(() => null);
  if (found === null) throw notFound('file', root);
  return found.isDirectory() ? listFolder(root) : openZip(root);
}

/** Takes the layout apart; a single folder that holds everything (as archives often have) is looked through. */
function labelSources(sources: readonly ImageSource[], root: string): LabeledSource[] {
  const paths = sources.map((source) => ({ source, parts: source.relativePath.split('/') }));
  const top = paths[0]?.parts[0];
  const wrapped = paths.every(({ parts }) => parts.length >= 3 && parts[0] === top && splitOf(parts[0]) === null);
  const inner = wrapped ? paths.map(({ source, parts }) => ({ source, parts: parts.slice(1) })) : paths;
  const hasSplits = inner.some(({ parts }) => parts.length >= 3 && splitOf(parts[0]) !== null);
  const labeled: LabeledSource[] = [];
  for (const { source, parts } of inner) {
    const split = hasSplits ? splitOf(parts[0]) : null;
    const className = hasSplits ? parts[1] : parts[0];
    if (parts.length < (hasSplits ? 3 : 2) || (hasSplits && split === null) || className === undefined) continue;
    labeled.push({ source, split, className });
  }
  if (labeled.length > 0) return labeled;
  throw new KindredError(
    'NOT_FOUND',
    `${root}: no images by class there; expected train/<class>/*.png (or .jpg, .jpeg, .webp) beside val/ or test/, or <class>/*.png`,
    { resource: { type: 'file', name: root } },
  );
}

function chooseSplit(all: readonly LabeledSource[], split: string, root: string): LabeledSource[] {
  if (split === 'all') return [...all];
  const present = new Set(all.map((labeled) => labeled.split));
  if (present.has(null)) return holdOut(all, split === 'train');
  const other = split === 'val' ? 'test' : split === 'test' ? 'val' : null;
  const wanted = [split, other].find((candidate) => present.has(candidate as LabeledSource['split']));
  if (wanted === undefined || wanted === null) {
    throw new KindredError(
      'NOT_FOUND',
      `${root}: has no images below ${split}/; there are: ${[...present].join(', ')}`,
      {
        resource: { type: 'file', name: `${root}/${split}` },
      },
    );
  }
  return all.filter((labeled) => labeled.split === wanted);
}

function holdOut(all: readonly LabeledSource[], forTraining: boolean): LabeledSource[] {
  const seen = new Map<string, number>();
  return all.filter(({ className }) => {
    const number = seen.get(className) ?? 0;
    seen.set(className, number + 1);
    return (number % holdOutEvery !== 0) === forTraining;
  });
}

function splitOf(folder: string | undefined): 'train' | 'val' | 'test' | null {
  return folder === 'train' || folder === 'val' || folder === 'test' ? folder : null;
}

// Opens any data set by name.
import { notFound } from '@kindred/errors';
import { datasetNames, isDatasetName } from './catalog.js';
import type { DatasetName } from './catalog.js';
import { readCifar } from './cifar.js';
import { createDataset } from './dataset.js';
import type { Dataset, DatasetParts } from './dataset.js';
import { drawDataset } from './drawn.js';
import { readFolder } from './folder.js';
import type { OpenDatasetOptions } from './open-options.js';
import { throwIfAborted } from './open-options.js';
import { readStl10 } from './stl10.js';

/**
 * Reads, draws or decodes a whole split into memory. NOT_FOUND for an unknown name or split and for missing files, DATA_LOSS
 * for damaged ones (the file is named), INVALID_ARGUMENT for a missing root, CANCELLED by `signal`.
 */
export async function openDataset(options: OpenDatasetOptions): Promise<Dataset> {
  if (!isDatasetName(options.name)) throw notFound('dataset', options.name, datasetNames);
  throwIfAborted(options.signal, options.name);
  return createDataset(await readParts(options.name, options));
}

function readParts(name: DatasetName, options: OpenDatasetOptions): Promise<DatasetParts> {
  switch (name) {
    case 'drawn':
      return drawDataset(options);
    case 'cifar-10':
    case 'cifar-20':
      return readCifar(name, options);
    case 'stl-10':
      return readStl10(options);
    case 'folder':
      return readFolder(options);
  }
}

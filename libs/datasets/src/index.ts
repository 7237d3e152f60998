// Data sets: CIFAR-10 and -20, STL-10, folders of images by class (also zipped), and a set drawn by formula.

// Opening
export { openDataset } from './open-dataset.js';
export type { DatasetProgress, OpenDatasetOptions } from './open-options.js';
export { imageAt } from './dataset.js';
export { decodeImage } from './decode-images.js';
export { createImageDecoder } from './image-decoder.js';
export type { ImageDecoder, ImageDecoderLimits } from './image-decoder.js';
export type { Dataset, ImageTable, RgbImage } from './dataset.js';

// Listing
export { datasetDescriptions, datasetNames, isDatasetName } from './catalog.js';
export type { DatasetDescription, DatasetName } from './catalog.js';
export { drawnDefaultCount, drawnMaxCount } from './drawn.js';

// Fetching
export { fetchDataset } from './fetch-dataset.js';
export type { FetchDatasetOptions, FetchedDataset } from './fetch-dataset.js';

// In an artifact store
export { pushDataset } from './push-dataset.js';
export type { PushDatasetOptions, PushProgress, PushedDataset } from './push-dataset.js';
export { openDatasetArtifact, splitsOfSet } from './open-dataset-artifact.js';
export type { OpenDatasetArtifactOptions } from './open-dataset-artifact.js';

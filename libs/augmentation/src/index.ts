// Augmentation: seeded random views of 8-bit RGB images in Pillow's arithmetic, and the numbers that drive them.

// Randomness by key
export { createStream, streamPurposes } from './random-stream.js';
export type { RandomStream, StreamKey, StreamPurpose } from './random-stream.js';
export { shuffledIndices } from './shuffled-indices.js';
export { philox4x32 } from './philox.js';

// Pipelines
export { createEvaluationPipeline, createSimclrPipeline, createStandardPipeline } from './pipelines.js';
export type { EvaluationOptions, EvaluationPipeline, ImageKey, ViewPipeline } from './pipelines.js';
export { resolveSimclrOptions, resolveStandardOptions } from './simclr-options.js';
export type {
  ColorJitterOptions,
  RandomResizedCropOptions,
  ResolvedSimclrOptions,
  SimclrOptions,
  StandardOptions,
} from './simclr-options.js';

// Drawing and applying, one apart from the other
export { drawCropBox, drawSimclrParameters, jitterSteps } from './simclr-parameters.js';
export type { SimclrParameters } from './simclr-parameters.js';
export { applySimclr } from './apply-simclr.js';

// Single operations
export { resizedCrop } from './resized-crop.js';
export { adjustBrightness, adjustContrast, adjustSaturation } from './blend.js';
export { adjustHue } from './hue.js';
export { toGrayscale } from './luma.js';
export { applyColorJitter } from './color-jitter.js';
export { centreCrop } from './centre-crop.js';
export { normalize, normalizeTable } from './normalize.js';
export type { NormalizeOptions, NormalizeTable } from './normalize.js';
export type { CropBox, RgbImage } from './rgb-image.js';

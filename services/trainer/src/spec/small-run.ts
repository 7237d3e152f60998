// The experiment of specs with real processes: the reference's own file, made so small that an epoch takes a moment.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The reference's CIFAR-10 experiment as it stands in `configs/`. */
export const experiment = readFileSync(
  join(import.meta.dirname, '../../../../configs/pretext/simclr_cifar10.yml'),
  'utf8',
);

/** Overrides that fit it to the images of `fake-augmentation.ts`. */
export const smallRun = {
  batch_size: '8',
  num_classes: '2',
  'model_kwargs.width': '2',
  'model_kwargs.features_dim': '8',
  'augmentation_kwargs.random_resized_crop.size': '8',
  'transformation_kwargs.crop_size': '8',
};

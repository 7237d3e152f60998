// Our side of the suite `augmentation`: SimCLR views in one thread, through the pipeline that the service uses.
import { createSimclrPipeline } from '@kindred/augmentation';
import { openDataset } from '@kindred/datasets';
import { serveRounds } from './own-process.js';
import { simclrAugmentation } from './simclr-settings.js';

/** What the child is told at its start. */
export interface SimclrViewsOptions {
  /** Folder with CIFAR-10's binary files. */
  readonly data: string;
}

const imageCount = 1024;
const warmUpViews = 20_000;

serveRounds<SimclrViewsOptions>(async ({ data }) => {
  const dataset = await openDataset({ name: 'cifar-10', split: 'train', root: data });
  const images = Array.from({ length: Math.min(imageCount, dataset.size) }, (_, index) => dataset.image(index));
  const pipeline = createSimclrPipeline(simclrAugmentation);
  const out = new Uint8Array(2 * pipeline.viewBytes);
  let epoch = 0;
  const round = (views: number): number => {
    for (let made = 0; made < views; made += 2) {
      const imageIndex = (made / 2) % images.length;
      if (imageIndex === 0) epoch++;
      const image = images[imageIndex];
      if (image !== undefined) pipeline.viewPair(image, { seed: 0, epoch, imageIndex }, out, 0);
    }
    return Math.ceil(views / 2) * 2;
  };
  round(warmUpViews);
  return { versions: {}, round };
});

// The check after each epoch: fill the memory bank with the training images, let it classify the validation images.
import { KindredError } from '@kindred/errors';
import { top1Accuracy, weightedKnn } from '@kindred/memory-bank';
import type { StreamBatchesResponse } from '@kindred/protocol/augmentation';
import { int32Of } from '@kindred/service-runtime';

/** Embeds images in eval mode: uint8 `[count, height, width, 3]` to float32 `[count, dim]`. */
export type Embed = (images: Uint8Array, count: number) => Float32Array;

/** What the check has found. */
export interface KnnResult {
  /** Percent of validation images classified right. */
  readonly top1: number;
  /** Images in the memory bank. */
  readonly trainSize: number;
  readonly validationSize: number;
}

/** Fills the bank, classifies, compares. `classes` is the number of classes; labels lie below it. */
export async function checkKnn(
  embed: Embed,
  training: AsyncIterable<StreamBatchesResponse>,
  validation: AsyncIterable<StreamBatchesResponse>,
  options: { readonly k: number; readonly temperature: number; readonly classes: number },
): Promise<KnnResult> {
  const bank = await embedAll(embed, training, options.classes);
  const queries = await embedAll(embed, validation, options.classes);
  const { predictions } = weightedKnn({
    bank: bank.features,
    labels: bank.labels,
    queries: queries.features,
    ...options,
  });
  const top1 = top1Accuracy(predictions, queries.labels);
  return { top1, trainSize: bank.labels.length, validationSize: queries.labels.length };
}

interface Embedded {
  readonly features: Float32Array;
  readonly labels: Int32Array;
}

async function embedAll(
  embed: Embed,
  batches: AsyncIterable<StreamBatchesResponse>,
  classes: number,
): Promise<Embedded> {
  const features: Float32Array[] = [];
  const labels: number[] = [];
  for await (const batch of batches) {
    features.push(embed(batch.images, batch.count));
    for (const label of int32Of(batch.labels, 'labels')) {
      if (label >= classes) {
        throw new KindredError('INVALID_ARGUMENT', `num_classes: got ${classes}, but the dataset has label ${label}`, {
          violations: [
            { field: 'num_classes', description: `got ${classes}; allowed: above the largest label, ${label}` },
          ],
        });
      }
      labels.push(label);
    }
  }
  const joined = new Float32Array(features.reduce((total, part) => total + part.length, 0));
  let offset = 0;
  for (const part of features) {
    joined.set(part, offset);
    offset += part.length;
  }
  return { features: joined, labels: Int32Array.from(labels) };
}

// The check after each epoch: fill the memory bank with the training images, let it classify the validation images.
import { KindredError } from '@kindred/errors';
import { top1Accuracy, weightedKnn, type WeightedKnnOptions } from '@kindred/memory-bank';
import type { StreamBatchesResponse } from '@kindred/protocol/augmentation';
import { int32Of } from '@kindred/service-runtime';
import type { LabelledFeatures } from './logistic-regression.js';

/** Embeds images in eval mode: uint8 `[count, height, width, 3]` to float32 `[count, dim]` each. */
export type Embed = (
  images: Uint8Array,
  count: number,
) => { readonly embedding: Float32Array; readonly backbone: Float32Array };

/** What the check has found. */
export interface KnnResult {
  /** Percent of validation images classified right. */
  readonly top1: number;
  /** Images in the memory bank. */
  readonly trainSize: number;
  readonly validationSize: number;
  /** The backbone's features of both; null unless asked for. */
  readonly backbone: { readonly training: LabelledFeatures; readonly validation: LabelledFeatures } | null;
}

/** Fills the bank, classifies, compares. `classes` is the number of classes; labels lie below it. */
export async function checkKnn(
  embed: Embed,
  training: AsyncIterable<StreamBatchesResponse>,
  validation: AsyncIterable<StreamBatchesResponse>,
  {
    withBackbone,
    ...options
  }: Pick<WeightedKnnOptions, 'search'> & {
    readonly k: number;
    readonly temperature: number;
    readonly classes: number;
    readonly withBackbone: boolean;
  },
): Promise<KnnResult> {
  const bank = await embedAll(embed, training, options.classes, withBackbone);
  const queries = await embedAll(embed, validation, options.classes, withBackbone);
  const { predictions } = weightedKnn({
    bank: bank.features,
    labels: bank.labels,
    queries: queries.features,
    ...options,
  });
  const top1 = top1Accuracy(predictions, queries.labels);
  const backbone = withBackbone ? { training: backboneOf(bank), validation: backboneOf(queries) } : null;
  return { top1, trainSize: bank.labels.length, validationSize: queries.labels.length, backbone };
}

interface Embedded extends LabelledFeatures {
  /** Empty unless asked for. */
  readonly backbone: Float32Array;
}

function backboneOf({ backbone: features, labels }: Embedded): LabelledFeatures {
  return { features, labels };
}

async function embedAll(
  embed: Embed,
  batches: AsyncIterable<StreamBatchesResponse>,
  classes: number,
  withBackbone: boolean,
): Promise<Embedded> {
  const features: Float32Array[] = [];
  const backbone: Float32Array[] = [];
  const labels: number[] = [];
  for await (const batch of batches) {
    const embedded = embed(batch.images, batch.count);
    features.push(embedded.embedding);
    if (withBackbone) backbone.push(embedded.backbone);
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
  return { features: joined(features), backbone: joined(backbone), labels: Int32Array.from(labels) };
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((total, part) => total + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

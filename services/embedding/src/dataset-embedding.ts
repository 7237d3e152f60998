// A dataset job: batches from data-augmentation, through the network, to the artifact store and an index.
import type { ArtifactStore } from '@kindred/artifact-store';
import { KindredError } from '@kindred/errors';
import { encodeNpyHeader } from '@kindred/formats';
import { maxPixelBytes } from '@kindred/protocol';
import type { DatasetReference } from '@kindred/protocol/augmentation';
import type { UpsertRequest } from '@kindred/protocol/neighbors';
import { bytesOf, int32Of, uint32Of, type JobContext } from '@kindred/service-runtime';
import type { FeatureKind } from './embed-images.js';
import { embedPixels } from './embed-pixels.js';
import { recordFeatures } from './feature-lineage.js';
import type { ServedModel } from './models/served-model.js';
import { withPatience, type Peers } from './peers.js';

/** Images a batch; smaller where such a batch would be over data-augmentation's limit of a message. */
const batchImages = 256;
/** Bytes of vectors in one message to the index. */
const upsertBytes = 1024 * 1024;

/** What is embedded, how, and where the result goes. */
export interface DatasetEmbedding {
  readonly dimension: number;
  readonly kind: FeatureKind;
  readonly dataset: DatasetReference;
  /** Images in the dataset. */
  readonly total: number;
  /** Empty: no index. */
  readonly indexId: string;
  readonly featuresKey: string;
  readonly labelsKey: string;
}

/** What a dataset job tells. */
export interface DatasetEmbeddingProgress {
  readonly completed: number;
  readonly total: number;
  readonly dimension: number;
  /** Empty until written. */
  readonly featuresKey: string;
  /** Empty until written. */
  readonly labelsKey: string;
}

/** What a dataset job works with. */
export interface DatasetEmbeddingParts {
  readonly store: ArtifactStore;
  readonly peers: Peers;
  /** The version that embeds all of it. */
  readonly served: ServedModel;
}

interface Table {
  /** [total, dimension] */
  readonly features: Float32Array;
  /** [total] */
  readonly labels: Int32Array;
}

/** Does the job. UNAVAILABLE, naming the service, when one stays silent for longer than the peers' patience. */
export async function embedDataset(
  job: DatasetEmbedding,
  parts: DatasetEmbeddingParts,
  { signal, report }: JobContext<DatasetEmbeddingProgress>,
): Promise<void> {
  const { total, dimension, featuresKey, labelsKey } = job;
  const table: Table = { features: new Float32Array(total * dimension), labels: new Int32Array(total).fill(-1) };
  const contentSha256 = await embedBatches(job, table, parts, signal, (completed) => report({ completed }));
  const features = [encodeNpyHeader('f4', [total, dimension]), bytesOf(table.features)];
  const labels = BigInt64Array.from(table.labels, (label) => BigInt(label));
  const labelsFile = [encodeNpyHeader('i8', [total]), new Uint8Array(labels.buffer)];
  await recordFeatures(parts.store, job, parts.served, contentSha256, [
    { key: featuresKey, ...(await parts.store.put(featuresKey, features)) },
    { key: labelsKey, ...(await parts.store.put(labelsKey, labelsFile)) },
  ]);
  if (job.indexId !== '') await upsert(job, table, parts.peers, signal);
  report({ featuresKey, labelsKey });
}

/** Fills the table; returns the SHA-256 of the dataset's content, null where the service did not say it. */
async function embedBatches(
  job: DatasetEmbedding,
  { features, labels }: Table,
  { served, peers }: DatasetEmbeddingParts,
  signal: AbortSignal,
  onCompleted: (completed: number) => void,
): Promise<string | null> {
  const { dimension, dataset, kind, total } = job;
  const { cropSize } = served.facts;
  const batchSize = Math.max(1, Math.min(batchImages, Math.floor(maxPixelBytes / (cropSize * cropSize * 3))));
  let nextBatch = 0;
  let completed = 0;
  let contentSha256: string | null = null;
  await withPatience(peers.retryMs, signal, async (progressed) => {
    const request = {
      dataset,
      transformation: { kind: { $case: 'evaluation', value: { cropSize } } } as const,
      batchSize,
      firstBatch: nextBatch,
    };
    for await (const batch of peers.augmentation.streamBatches(request, { signal })) {
      const { images, count } = batch;
      if (batch.contentSha256 !== '') contentSha256 = batch.contentSha256;
      const vectors = await embedPixels(served, images, count, kind, signal);
      signal.throwIfAborted();
      const batchLabels = int32Of(batch.labels, 'labels');
      uint32Of(batch.indices, 'indices').forEach((index, i) => {
        if (index >= total)
          throw new KindredError('ABORTED', `dataset '${dataset.name}' has grown while it was read; start again`);
        features.set(vectors.subarray(i * dimension, (i + 1) * dimension), index * dimension);
        labels[index] = batchLabels[i] ?? -1;
      });
      nextBatch = batch.batch + 1;
      completed += count;
      onCompleted(completed);
      progressed();
    }
  });
  if (completed !== total) {
    throw new KindredError(
      'ABORTED',
      `dataset '${dataset.name}' gave ${completed} images of ${total}: it changed while it was read; start again`,
    );
  }
  return contentSha256;
}

/** Sends the vectors; nothing of a stream that breaks is stored, so that it can be sent again from its start. */
async function upsert(
  { indexId, dimension }: DatasetEmbedding,
  table: Table,
  peers: Peers,
  signal: AbortSignal,
): Promise<void> {
  await withPatience(peers.retryMs, signal, () =>
    peers.neighbors.upsert(upsertRequests(indexId, table, dimension), { signal }),
  );
}

async function* upsertRequests(
  indexId: string,
  { features, labels }: Table,
  dimension: number,
): AsyncGenerator<Partial<UpsertRequest>> {
  const rows = Math.max(1, Math.floor(upsertBytes / (dimension * 4)));
  for (let start = 0; start < labels.length; start += rows) {
    const end = Math.min(labels.length, start + rows);
    yield {
      collection: indexId,
      ids: bytesOf(BigUint64Array.from({ length: end - start }, (_, i) => BigInt(start + i))),
      vectors: bytesOf(features.subarray(start * dimension, end * dimension)),
      labels: bytesOf(labels.subarray(start, end)),
    };
  }
}

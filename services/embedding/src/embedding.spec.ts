import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createFolderStore, type ArtifactStore } from '@kindred/artifact-store';
import { openDataset } from '@kindred/datasets';
import { decodeNpyAs } from '@kindred/formats';
import { readManifest } from '@kindred/lineage';
import { Split } from '@kindred/protocol/augmentation';
import { EmbeddingServiceDefinition, FeatureKind, JobState, type EmbedDatasetJob } from '@kindred/protocol/embedding';
import { GRPCInferenceServiceDefinition } from '@kindred/protocol/inference';
import {
  HealthDefinition,
  connect,
  createLogger,
  float32Of,
  startService,
  type Connection,
  type RunningService,
} from '@kindred/service-runtime';
import { createArchitecture, encodeModelFile, initialParameters } from '@kindred/simclr';
import { blankPng, temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEmbedding } from './embedding.js';
import { startFakeAugmentation, startFakeNeighborIndex } from './spec/fake-peers.js';

const architecture = createArchitecture({ width: 4, featureDim: 16 });
const modelFile = (seed: number): Uint8Array =>
  encodeModelFile({
    architecture,
    parameters: initialParameters(architecture, seed),
    normalisation: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
    cropSize: 32,
    origin: {},
  });

const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('embedding service', () => {
  const folder = temporaryFolder();
  const ended: (() => void | Promise<void>)[] = [];
  let store: ArtifactStore;
  let augmentation: Awaited<ReturnType<typeof startFakeAugmentation>>;
  let neighbors: Awaited<ReturnType<typeof startFakeNeighborIndex>>;
  let service: RunningService;
  let client: Connection<typeof EmbeddingServiceDefinition>['client'];

  beforeAll(async () => {
    store = await createFolderStore(join(folder, 'artifacts'));
    await store.put('runs/a/model.safetensors', modelFile(1));
    await store.put('runs/b/model.safetensors', modelFile(2));
    augmentation = await startFakeAugmentation(1);
    neighbors = await startFakeNeighborIndex();
    const embedding = createEmbedding(
      {
        dataAugmentationAddress: augmentation.address,
        neighborIndexAddress: neighbors.address,
        threads: 2,
        preload: [],
        followMs: 100,
        limits: {
          maxImages: 256,
          maxImagePixels: 32 * 2 ** 20,
          maxRequestPixels: 64 * 2 ** 20,
          maxBatch: 8,
          instances: 1,
          maxDelayMs: 1,
          maxDepth: 600,
          maxQueuedBytes: 256 * 2 ** 20,
          decodingThreads: 2,
          // Room for one of the models.
          maxModelBytes: 8_000_000,
          maxCacheBytes: 0,
          maxJobs: 2,
        },
        peerRetryMs: 2000,
      },
      store,
      createLogger('embedding', 'silent'),
    );
    service = await startService({
      name: 'embedding',
      network: { host: '127.0.0.1', port: 0, metricsPort: 0, drainMs: 500, maxConnectionAgeMs: 0 },
      register(registrar) {
        registrar.add(EmbeddingServiceDefinition, embedding.handlers);
        registrar.add(GRPCInferenceServiceDefinition, embedding.inferenceHandlers);
      },
      ready: embedding.ready,
      health: embedding.health,
      overloaded: embedding.overloaded,
      onDrain: () => embedding.drain(),
      onClose: () => embedding.close(),
    });
    const connection = connect(EmbeddingServiceDefinition, { service: 'embedding', address: service.address });
    client = connection.client;
    ended.push(
      () => connection.close(),
      () => service.close(),
      () => augmentation.close(),
      () => neighbors.close(),
    );
  });
  afterAll(async () => {
    for (const end of ended) await end();
  });

  const raw = (count: number, side = 32) => ({
    $case: 'raw' as const,
    value: { pixels: randomBytes(count * side * side * 3), count, height: side, width: side },
  });
  const finished = async (jobId: string): Promise<EmbedDatasetJob> => {
    let last: EmbedDatasetJob | undefined;
    for await (const { job } of client.watchEmbedDataset({ jobId })) last = job;
    if (last === undefined) throw new Error('the watch gave nothing');
    return last;
  };

  it('embeds images as unit vectors, the same one by one and together', async () => {
    const images = raw(3);
    const together = await client.embed({ model: 'a', images });
    expect(together).toMatchObject({ count: 3, dimension: 16, model: 'a' });
    const vectors = float32Of(together.vectors, 'vectors');
    for (let i = 0; i < 3; i++) {
      const row = vectors.subarray(i * 16, (i + 1) * 16);
      expect(Math.hypot(...row)).toBeCloseTo(1, 5);
      const pixels = images.value.pixels.subarray(i * 3072, (i + 1) * 3072);
      const alone = await client.embed({
        model: 'a',
        images: { $case: 'raw', value: { ...images.value, pixels, count: 1 } },
      });
      float32Of(alone.vectors, 'vectors').forEach((value, j) => expect(value).toBeCloseTo(row[j] ?? NaN, 5));
    }
    const backbone = await client.embed({ model: 'a', images, featureKind: FeatureKind.BACKBONE });
    expect(backbone.dimension).toBe(32);
  });

  it('answers a stream in the order of its requests, and keeps one model of two in memory', async () => {
    async function* requests() {
      for (const [model, count] of [
        ['a', 1],
        ['b', 2],
        ['a', 3],
      ] as const)
        yield { request: { model, images: raw(count) } };
    }
    const answers: (string | number | undefined)[][] = [];
    for await (const { response } of client.embedStream(requests())) answers.push([response?.model, response?.count]);
    expect(answers).toEqual([
      ['a', 1],
      ['b', 2],
      ['a', 3],
    ]);
    // Where both were asked for, the one that is asked for last stays.
    await client.embed({ model: 'a', images: raw(1) });
    const { models } = await client.listModels({});
    expect(models).toMatchObject([
      { name: 'a', loaded: true, embeddingDimension: 16, backboneDimension: 32, cropSize: 32 },
      { name: 'b', loaded: false },
    ]);
    await client.unloadModel({ model: 'a' });
    expect((await client.listModels({})).models.some(({ loaded }) => loaded)).toBe(false);
  });

  it('names what is wrong', async () => {
    await expect(client.embed({ model: 'none', images: raw(1) })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      resource: { type: 'model', name: 'none' },
    });
    const short = { $case: 'raw' as const, value: { pixels: randomBytes(10), count: 1, height: 32, width: 32 } };
    await expect(client.embed({ model: 'a', images: short })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'raw.pixels' }],
    });
    for (const featureKind of [7 as FeatureKind, -1 as FeatureKind]) {
      await expect(client.embed({ model: 'a', images: raw(1), featureKind })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        violations: [{ field: 'feature_kind' }],
      });
    }
    const broken = { $case: 'encoded' as const, value: { images: [randomBytes(50), randomBytes(60)] } };
    await expect(client.embed({ model: 'a', images: broken })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'encoded.images[0]' }, { field: 'encoded.images[1]' }],
    });
    const large = { $case: 'encoded' as const, value: { images: Array<Buffer>(12).fill(blankPng(2400, 2400)) } };
    const { errors } = await client.embed({ model: 'a', images: large });
    // Eleven such images have 63 of the 64 Mi pixels that a request may have.
    expect(errors).toMatchObject([{ code: 'RESOURCE_EXHAUSTED' }]);
    await expect(client.embed({ model: 'a', images: raw(257, 2) })).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
    });
    await store.put('runs/broken/model.safetensors', modelFile(3).subarray(0, 5000));
    await expect(client.loadModel({ model: 'broken' })).rejects.toMatchObject({ code: 'DATA_LOSS' });
    await store.delete('runs/broken/model.safetensors');
    await expect(client.getEmbedDataset({ jobId: 'none' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('refuses calls that do not fit in the queue, and answers health while it works', async () => {
    await client.loadModel({ model: 'a' });
    const health = connect(HealthDefinition, { service: 'embedding', address: service.address });
    const calls = Array.from({ length: 12 }, () => client.embed({ model: 'a', images: raw(256) }));
    const settled = Promise.allSettled(calls);
    let working = true;
    void settled.then(() => (working = false));
    let answers = 0;
    for (; working; answers++) await health.client.check({ service: '' });
    health.close();
    const results = await settled;
    expect(answers).toBeGreaterThan(10);
    const refused = results.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(12);
    for (const result of refused) {
      expect((result as PromiseRejectedResult).reason).toMatchObject({
        code: 'RESOURCE_EXHAUSTED',
        retryAfterMs: expect.any(Number) as number,
      });
    }
  });

  it('embeds a dataset into the store and an index, over a stream that breaks', async () => {
    const dataset = { name: 'drawn', split: Split.TRAIN, drawnSize: 600 };
    const { job } = await client.startEmbedDataset({ model: 'a', dataset, indexId: 'kin' });
    expect(job).toMatchObject({ state: JobState.RUNNING, total: 600 });
    const last = await finished(job?.jobId ?? '');
    expect(last).toMatchObject({
      state: JobState.SUCCEEDED,
      completed: 600,
      dimension: 16,
      featuresKey: 'features/a/drawn-train-features.npy',
      labelsKey: 'features/a/drawn-train-labels.npy',
    });
    expect(augmentation.streams.map(({ firstBatch }) => firstBatch)).toEqual([0, 1]);
    const features = decodeNpyAs(await store.get(last.featuresKey), 'f4');
    const labels = decodeNpyAs(await store.get(last.labelsKey), 'i8');
    expect([features.shape, labels.shape]).toEqual([[600, 16], [600]]);
    const drawn = await openDataset({ name: 'drawn', split: 'train', count: 600 });
    expect([...labels.data].map(Number)).toEqual([...drawn.labels]);
    expect(await readManifest(store, 'feature-set', 'a/drawn-train')).toMatchObject({
      inputs: [
        { kind: 'model', id: 'a', sha256: sha256Of(await store.get('runs/a/model.safetensors')) },
        { kind: 'dataset', id: 'drawn/train', sha256: drawn.contentHash },
      ],
      config: { feature_kind: 'embedding', crop_size: 32 },
      files: await Promise.all(
        [last.featuresKey, last.labelsKey].map(async (key) => ({ key, sha256: sha256Of(await store.get(key)) })),
      ),
    });
    const { data: pixels } = drawn.image(511);
    const single = await client.embed({
      model: 'a',
      images: { $case: 'raw', value: { pixels, count: 1, height: 32, width: 32 } },
    });
    float32Of(single.vectors, 'vectors').forEach((value, j) =>
      expect(value).toBeCloseTo(features.data[511 * 16 + j] ?? NaN, 5),
    );
    const sent = Buffer.concat(neighbors.received.map(({ vectors }) => vectors));
    expect(sent.equals(Buffer.from(features.data.buffer, features.data.byteOffset, features.data.byteLength))).toBe(
      true,
    );
  });

  it('refuses a job that cannot succeed, cancels one, and names the service that is gone', async () => {
    const dataset = { name: 'drawn', split: Split.TRAIN, drawnSize: 1500 };
    await expect(client.startEmbedDataset({ model: 'a', dataset: { name: 'none' } })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await expect(client.startEmbedDataset({ model: 'a', dataset, indexId: 'none' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    const backbone = { model: 'a', dataset, indexId: 'kin', featureKind: FeatureKind.BACKBONE };
    await expect(client.startEmbedDataset(backbone)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'index_id' }],
    });
    for (const keyPrefix of [
      ...['runs/a/model', 'runs/victim/x', 'indexes/kin/topk', 'features', 'features/../runs/x'],
      ...['features/../../x', 'features/a b', `features/${'x'.repeat(1100)}`],
    ]) {
      await expect(client.startEmbedDataset({ model: 'a', dataset, keyPrefix })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        violations: [{ field: 'key_prefix' }],
      });
    }
    const started = await client.startEmbedDataset({ model: 'a', dataset });
    await client.cancelEmbedDataset({ jobId: started.job?.jobId });
    expect(await finished(started.job?.jobId ?? '')).toMatchObject({ state: JobState.CANCELLED, featuresKey: '' });
    await augmentation.close();
    const { job } = await client.startEmbedDataset({ model: 'a', dataset });
    const last = await finished(job?.jobId ?? '');
    expect(last).toMatchObject({ state: JobState.FAILED, errorCode: 'UNAVAILABLE' });
    expect(last.errorMessage).toContain('data-augmentation');
  });
});

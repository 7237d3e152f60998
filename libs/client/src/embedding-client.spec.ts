// The client against a service that the test scripts: retries, batches, versions, refused images.
import { KindredError, notFound } from '@kindred/errors';
import { EmbeddingServiceDefinition, type EmbedRequest } from '@kindred/protocol/embedding';
import { bytesOf, startService, type RunningService } from '@kindred/service-runtime';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createEmbeddingClient, type EmbeddingClient } from './index.js';

const unused = (): never => {
  throw new KindredError('UNIMPLEMENTED', 'not part of this stand-in');
};

/** What the service does before it answers; it answers each image by its first byte. */
let before: (request: EmbedRequest) => void = () => {};
/** What it waits for before it tells its limits. */
let beforeInfo: () => Promise<void> = () => Promise.resolve();
let version = '1';
const requests: EmbedRequest[] = [];
let service: RunningService;
let client: EmbeddingClient;

beforeAll(async () => {
  service = await startService({
    name: 'embedding',
    network: { host: '127.0.0.1', port: 0, metricsPort: 0, drainMs: 100, maxConnectionAgeMs: 0 },
    register: (registrar) =>
      registrar.add(EmbeddingServiceDefinition, {
        async getInfo() {
          await beforeInfo();
          return { maxImages: 3, maxMessageBytes: 1_000_000n };
        },
        async embed(request) {
          requests.push(request);
          before(request);
          const images =
            request.images?.$case === 'encoded'
              ? request.images.value.images
              : [...Array(request.images?.value.count ?? 0).keys()].map((i) => Uint8Array.of(i));
          // 255 is broken; of images that begin with 200 a request has room for one.
          const large = images.flatMap((image, index) => (image[0] === 200 ? [index] : []));
          const errors = images.flatMap((image, index) => {
            if (image[0] === 255) return [{ index, code: 'INVALID_ARGUMENT', message: 'broken' }];
            return large.indexOf(index) > 0 ? [{ index, code: 'RESOURCE_EXHAUSTED', message: 'too many pixels' }] : [];
          });
          if (errors.length === images.length) {
            const violations = errors.slice(0, 2).map(({ index }) => ({
              field: `encoded.images[${index}]`,
              description: 'broken',
            }));
            throw new KindredError('INVALID_ARGUMENT', 'all broken', { violations });
          }
          const vectors = bytesOf(Float32Array.from(images.flatMap((image) => [image[0] ?? 0, Number(version)])));
          return { vectors, count: images.length, dimension: 2, model: 'm', modelVersion: version, errors };
        },
        ...{ embedStream: unused, listModels: unused, loadModel: unused, unloadModel: unused },
        ...{
          startEmbedDataset: unused,
          getEmbedDataset: unused,
          watchEmbedDataset: unused,
          cancelEmbedDataset: unused,
        },
      }),
  });
  client = createEmbeddingClient({ address: service.address, model: 'm', deadlineMs: 5000 });
});
afterAll(async () => {
  client.close();
  await service.close();
});
beforeEach(() => {
  before = () => {};
  beforeInfo = () => Promise.resolve();
  version = '1';
  requests.length = 0;
});

const images = (...first: number[]): Uint8Array[] => first.map((value) => Uint8Array.of(value, 0, 0));

describe('embedding client', () => {
  it('cuts large inputs to the service’s limits, and gives vectors in order', async () => {
    const { vectors, dimension } = await client.embed(images(1, 2, 3, 4, 5, 6, 7));
    expect(vectors.map((vector) => vector?.[0])).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(dimension).toBe(2);
    expect(requests.map(({ images: sent }) => (sent?.$case === 'encoded' ? sent.value.images.length : 0))).toEqual([
      3, 3, 1,
    ]);
    const pixels = { pixels: new Uint8Array(4 * 12), count: 4, height: 2, width: 2 };
    expect((await client.embed(pixels)).vectors).toHaveLength(4);
    expect((await client.embed([])).vectors).toEqual([]);
  });

  it('stays with one version where the model is replaced meanwhile', async () => {
    await client.embed(images(1, 2, 3, 4, 5, 6, 7));
    expect(requests.map(({ model }) => model)).toEqual(['m', 'm@1', 'm@1']);
    requests.length = 0;
    // The version goes away after the first request: all of it again, with the new one.
    before = ({ model }) => {
      if (model === 'm@1') {
        version = '2';
        throw notFound('model', 'm@1');
      }
    };
    const { vectors, version: used } = await client.embed(images(1, 2, 3, 4));
    expect(used).toBe('2');
    expect(vectors.map((vector) => vector?.[1])).toEqual([2, 2, 2, 2]);
  });

  it('waits as the service says when its queue is full, and tries again when it is away', async () => {
    let failures = 2;
    before = () => {
      if (failures-- <= 0) return;
      throw failures === 1
        ? new KindredError('RESOURCE_EXHAUSTED', 'full', { retryAfterMs: 30 })
        : new KindredError('UNAVAILABLE', 'starting');
    };
    expect((await client.embed(images(9))).vectors[0]?.[0]).toBe(9);
    expect(requests).toHaveLength(3);
  });

  it('does not try again what cannot succeed, nor past its deadline', async () => {
    before = () => {
      throw new KindredError('RESOURCE_EXHAUSTED', 'too many pixels');
    };
    await expect(client.embed(images(1))).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(requests).toHaveLength(1);
    before = () => {
      throw new KindredError('RESOURCE_EXHAUSTED', 'full', { retryAfterMs: 60_000 });
    };
    await expect(client.embed(images(1))).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: 60_000 });
    expect(requests).toHaveLength(2);
  });

  it('sends images again whose request had no room for their pixels', async () => {
    const { vectors, refused } = await client.embed(images(200, 200, 200, 4, 200));
    expect(vectors.map((vector) => vector?.[0])).toEqual([200, 200, 200, 4, 200]);
    expect(refused).toEqual([]);
    // Of three two are left, then one; the last two fit together.
    expect(requests).toHaveLength(4);
  });

  it('gives vectors of one version also where nothing of the first requests could be used', async () => {
    // Each answer comes from the next version, unless it is asked for by its number.
    before = ({ model }) => {
      version = /@(\d+)$/.exec(model)?.[1] ?? String(Number(version) + 1);
    };
    const { vectors, version: used } = await client.embed(images(255, 255, 255, 255, 255, 255, 7, 8, 9, 10, 11), {
      partial: true,
    });
    expect(vectors.slice(6).map((vector) => vector?.[1])).toEqual(Array.from({ length: 5 }, () => Number(used)));
  });

  it('ends a call whose signal is aborted, also while the service has not told its limits, and no other call with it', async () => {
    const fresh = createEmbeddingClient({ address: service.address, model: 'm', deadlineMs: 5000 });
    const leaving = new AbortController();
    let answer = (): void => {};
    const answered = new Promise<void>((resolve) => (answer = resolve));
    let asked = 0;
    beforeInfo = () => {
      if (++asked === 2) leaving.abort();
      return answered;
    };
    try {
      const left = fresh.embed(images(1), { signal: leaving.signal });
      const stays = fresh.embed(images(2));
      await expect(left).rejects.toMatchObject({ name: 'KindredError', code: 'CANCELLED' });
      answer();
      expect((await stays).vectors[0]?.[0]).toBe(2);
      leaving.abort();
      const late = fresh.embed(images(3), { signal: leaving.signal });
      await expect(late).rejects.toMatchObject({ name: 'KindredError', code: 'CANCELLED' });
    } finally {
      answer();
      fresh.close();
    }
  });

  it('names images that cannot be used by their position in what it was given', async () => {
    const mixed = images(1, 2, 3, 255, 255, 255, 7, 255);
    await expect(client.embed(mixed)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const { vectors, refused } = await client.embed(mixed, { partial: true });
    expect(refused.map(({ index }) => index)).toEqual([3, 4, 5, 7]);
    expect(vectors.map((vector) => vector?.[0] ?? null)).toEqual([1, 2, 3, null, null, null, 7, null]);
  });
});

// Searching by image: through an embedding service that answers, that is down, and that comes back.
import { KindredError } from '@kindred/errors';
import {
  EmbeddingServiceDefinition,
  type EmbedRequest,
  type EmbeddingServiceImplementation,
} from '@kindred/protocol/embedding';
import { bytesOf, createLogger, float32Of, startService } from '@kindred/service-runtime';
import { temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createImageVectors } from './image-search.js';
import { part, startNeighborIndex, stream } from './spec/start-neighbor-index.js';

const { signal } = new AbortController();
const image = Uint8Array.of(3, 4);
const notInThisTest = Object.fromEntries(
  Object.keys(EmbeddingServiceDefinition.methods).map((method) => [method, () => Promise.reject(new Error(method))]),
);

/** An embedding service whose vector of an image is the image's bytes as numbers; `answer` may be replaced. */
async function startEmbedding(port = 0) {
  const control = { calls: 0, answer: (): void | Promise<void> => {} };
  const embed = async (request: EmbedRequest) => {
    control.calls++;
    await control.answer();
    const [bytes = new Uint8Array()] = request.images?.$case === 'encoded' ? request.images.value.images : [];
    return { vectors: bytesOf(Float32Array.from(bytes)), count: 1, dimension: bytes.length };
  };
  const service = await startService({
    name: 'embedding',
    network: { host: '127.0.0.1', port, metricsPort: 0, drainMs: 100, maxConnectionAgeMs: 0 },
    logger: createLogger('embedding', 'silent'),
    register: (services) =>
      services.add(EmbeddingServiceDefinition, {
        ...notInThisTest,
        embed,
      } as unknown as EmbeddingServiceImplementation),
  });
  return { control, service };
}

let embedding: Awaited<ReturnType<typeof startEmbedding>>;
let server: Awaited<ReturnType<typeof startNeighborIndex>>;
beforeAll(async () => {
  embedding = await startEmbedding();
  const { address } = embedding.service;
  server = await startNeighborIndex(temporaryFolder('image-search'), { embeddingAddress: address });
  await server.client.createCollection({ collection: 'images', config: { dimension: 2 } });
  await server.client.upsert(stream(part('images', [1, 2, 3], Float32Array.of(1, 0, 0, 1, 1, 1))));
});
afterAll(async () => {
  await server.close();
  await embedding.service.close();
});

it('finds what is nearest to the vector that the embedding service makes of the image', async () => {
  const answer = await server.client.searchByImage({ collection: 'images', model: 'm', image, k: 2 });
  expect([...float32Of(answer.vector, 'vector')]).toEqual([3, 4]);
  // By hand: (3,4)·(1,1) = 7, (3,4)·(0,1) = 4.
  expect(answer.neighbors.map(({ id, score }) => [id, score])).toEqual([
    [3n, 7],
    [2n, 4],
  ]);
});

it('refuses a model of another dimension, and passes on what the embedding service refuses', async () => {
  const ask = (bytes: Uint8Array) =>
    server.client.searchByImage({ collection: 'images', model: 'm', image: bytes, k: 2 });
  await expect(ask(Uint8Array.of(1, 2, 3))).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    violations: [expect.objectContaining({ field: 'model' })],
  });
  embedding.control.answer = () => {
    throw new KindredError('NOT_FOUND', 'model m does not exist');
  };
  await expect(ask(image)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  embedding.control.answer = () => {};
});

it('lets an embedding service be that is down, and asks it again once it is back', async () => {
  const { control, service } = await startEmbedding();
  const port = Number(service.address.split(':')[1]);
  const patience = { maxAttempts: 1, deadlineMs: 5_000, breakAfter: 3, breakMs: 300 };
  const images = createImageVectors(service.address, patience);
  const ask = () => images.vectorOf('m', image, signal);
  expect([...(await ask())]).toEqual([3, 4]);
  control.answer = () => {
    throw new KindredError('UNAVAILABLE', 'down');
  };
  for (let i = 0; i < patience.breakAfter; i++) await expect(ask()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  const before = control.calls;
  await expect(ask()).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    retryAfterMs: patience.breakMs,
    resource: { type: 'service', name: 'embedding' },
  });
  expect(control.calls).toBe(before);
  await service.close();
  const again = await startEmbedding(port);
  await expect
    .poll(
      () =>
        ask().then(
          (vector) => [...vector],
          () => null,
        ),
      { timeout: 20_000 },
    )
    .toEqual([3, 4]);
  images.close();
  await again.service.close();
});

it('counts a service that says nothing as one that is down', async () => {
  const { control, service } = await startEmbedding();
  const patience = { maxAttempts: 1, deadlineMs: 50, breakAfter: 1, breakMs: 60_000 };
  const images = createImageVectors(service.address, patience);
  let release = (): void => {};
  control.answer = () => new Promise<void>((resolve) => (release = resolve));
  await expect(images.vectorOf('m', image, signal)).rejects.toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: null });
  await expect(images.vectorOf('m', image, signal)).rejects.toMatchObject({ retryAfterMs: patience.breakMs });
  expect(control.calls).toBe(1);
  release();
  images.close();
  await service.close();
});

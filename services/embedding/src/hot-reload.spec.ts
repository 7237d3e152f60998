// Models that change while they serve: every answer is one version's, none is lost, a version that cannot be loaded changes nothing.
import { randomBytes } from 'node:crypto';
import { createModelRegistry } from '@kindred/lineage';
import { HealthDefinition, connect, float32Of } from '@kindred/service-runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dimension, smallModel, startEmbedding, type RunningEmbedding } from './spec/running-embedding.js';

const pixels = randomBytes(5 * 3072);
const images = { $case: 'raw' as const, value: { pixels, count: 5, height: 32, width: 32 } };

let service: RunningEmbedding;
beforeAll(async () => {
  service = await startEmbedding();
});
afterAll(() => service.close());

/** The vectors that model `name` gives `images`. */
async function vectorsOf(name: string): Promise<Float32Array> {
  const { vectors } = await service.client.embed({ model: name, images });
  return float32Of(vectors, 'vectors');
}

const largestDifference = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))), 0);

describe('a model that is replaced while it serves', () => {
  it('answers each request with one version, by its name, without an error in between', async () => {
    for (const seed of [1, 2, 3]) await service.put(`seed-${seed}`, seed);
    const expected = new Map<string, Float32Array>();
    const versions: string[] = [];
    for (const seed of [1, 2, 3]) {
      const answer = await service.client.embed({ model: `seed-${seed}`, images });
      expected.set(answer.modelVersion, float32Of(answer.vectors, 'vectors'));
      versions.push(answer.modelVersion);
    }
    await service.put('live', 1);
    let stopped = false;
    const seen = new Set<string>();
    const callers = Array.from({ length: 4 }, async () => {
      while (!stopped) {
        const answer = await service.client.embed({ model: 'live', images });
        seen.add(answer.modelVersion);
        const vectors = expected.get(answer.modelVersion);
        expect(vectors).toBeDefined();
        expect(largestDifference(float32Of(answer.vectors, 'vectors'), vectors as Float32Array)).toBeLessThan(1e-5);
      }
    });
    await expect.poll(() => seen.has(versions[0] ?? ''), { timeout: 30_000 }).toBe(true);
    for (const [i, seed] of [2, 3].entries()) {
      await service.put('live', seed);
      await expect.poll(() => seen.has(versions[i + 1] ?? ''), { timeout: 30_000 }).toBe(true);
    }
    stopped = true;
    await Promise.all(callers);
    expect([...seen]).toEqual(versions);
  });

  it('goes on with the old version where the new one cannot be loaded, and says so', async () => {
    await service.put('sturdy', 1);
    const before = await service.client.embed({ model: 'sturdy', images });
    const damaged = smallModel(2).subarray(0, 5000);
    await service.store.put('runs/sturdy/model.safetensors', damaged);
    const described = async () =>
      (await service.client.listModels({})).models.find(({ name }) => name === 'sturdy') ?? { loadError: '' };
    await expect.poll(async () => (await described()).loadError, { timeout: 30_000 }).not.toBe('');
    expect(await described()).toMatchObject({ loaded: false, servingVersion: before.modelVersion });
    const during = await service.client.embed({ model: 'sturdy', images });
    expect(during.modelVersion).toBe(before.modelVersion);
    expect(await service.inference.modelMetadata({ name: 'sturdy' })).toMatchObject({
      versions: [before.modelVersion],
      outputs: [{ shape: [-1n, BigInt(dimension)] }, { name: 'backbone' }],
    });
    await expect(service.client.loadModel({ model: 'sturdy' })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await service.put('sturdy', 3);
    await expect
      .poll(async () => (await service.client.embed({ model: 'sturdy', images })).modelVersion, { timeout: 30_000 })
      .not.toBe(before.modelVersion);
    expect(await described()).toMatchObject({ loaded: true, loadError: '', servingVersion: '' });
  });

  it('can be named by its version, and has no other', async () => {
    await service.put('fixed', 1);
    const { modelVersion } = await service.client.embed({ model: 'fixed', images });
    const answer = await service.client.embed({ model: `fixed@${modelVersion}`, images });
    expect(answer).toMatchObject({ model: 'fixed', modelVersion, dimension });
    await expect(service.client.embed({ model: 'fixed@0123456789ab', images })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});

describe('a registered model', () => {
  it('is known, and freed, by each name of the version that is in memory', async () => {
    const registry = createModelRegistry(service.store);
    const { sha256, size } = await service.store.put('runs/named/model.safetensors', smallModel(1));
    const source = { kind: 'run' as const, id: 'named' };
    const file = { key: 'runs/named/model.safetensors', sha256, size, source, description: '' };
    await registry.register('birds', file);
    await registry.setAlias('birds', 'production', 1);
    const ready = async (version: string) => (await service.inference.modelReady({ name: 'birds', version })).ready;
    for (const unloaded of ['birds@1', 'birds', 'birds@production']) {
      await service.client.loadModel({ model: 'birds@production' });
      expect([await ready('1'), await ready('production')]).toEqual([true, true]);
      await service.client.unloadModel({ model: unloaded });
      expect([await ready('1'), await ready('production')]).toEqual([false, false]);
    }
    await service.client.unloadModel({ model: 'no-such-model' });
  });

  it('whose file is damaged is listed with the fault, which is what asking for its metadata gives', async () => {
    const registry = createModelRegistry(service.store);
    const key = 'runs/cut/model.safetensors';
    const { sha256, size } = await service.store.put(key, smallModel(1).subarray(0, 5000));
    await registry.register('cut', { key, sha256, size, source: { kind: 'run', id: 'cut' }, description: '' });
    await expect(service.inference.modelMetadata({ name: 'cut' })).rejects.toMatchObject({
      code: 'DATA_LOSS',
      resource: { type: 'model', name: 'cut' },
    });
    const { models } = await service.client.listModels({});
    expect(models.find(({ name }) => name === 'cut')).toMatchObject({
      loaded: false,
      loadError: expect.stringContaining("model 'cut@1' cannot be used") as string,
    });
    await registry.delete('cut');
    await service.store.delete(key);
  });

  it('is indexed by name and version; its name alone is ready with the newest, and unloads all', async () => {
    const registry = createModelRegistry(service.store);
    const { inference, client } = service;
    for (const seed of [1, 2]) {
      const key = `runs/dogs-${seed}/model.safetensors`;
      const { sha256, size } = await service.store.put(key, smallModel(seed));
      const source = { kind: 'run' as const, id: `dogs-${seed}` };
      await registry.register('dogs', { key, sha256, size, source, description: '' });
    }
    await registry.setAlias('dogs', 'production', 1);
    const ready = async (version: string) => (await inference.modelReady({ name: 'dogs', version })).ready;
    const index = async (readyOnly: boolean) =>
      (await inference.repositoryIndex({ ready: readyOnly })).models
        .filter(({ name }) => name === 'dogs')
        .map(({ version, state }) => `${version} ${state}`)
        .sort();
    await client.loadModel({ model: 'dogs@production' });
    expect(await index(false)).toEqual(['1 READY', '2 UNAVAILABLE']);
    expect(await index(true)).toEqual(['1 READY']);
    expect(await Promise.all(['', '2', 'production', '1'].map(ready))).toEqual([false, false, true, true]);
    await client.loadModel({ model: 'dogs@2' });
    expect(await index(false)).toEqual(['1 READY', '2 READY']);
    expect(await ready('')).toBe(true);
    await client.unloadModel({ model: 'dogs' });
    expect(await index(true)).toEqual(['1 READY']);
    await client.loadModel({ model: 'dogs' });
    await inference.repositoryModelUnload({ modelName: 'dogs@1' });
    expect(await index(true)).toEqual(['2 READY']);
    await client.loadModel({ model: 'dogs@production' });
    await inference.repositoryModelUnload({ modelName: 'dogs' });
    expect(await index(false)).toEqual(['2 UNAVAILABLE']);
    expect(await Promise.all(['', '2', 'production', '1'].map(ready))).toEqual([false, false, false, false]);
  });

  it('whose file is gone is listed with the reason, among the others', async () => {
    const registry = createModelRegistry(service.store);
    const key = 'runs/lost/model.safetensors';
    const { sha256, size } = await service.store.put(key, smallModel(1));
    await registry.register('lost', { key, sha256, size, source: { kind: 'run', id: 'lost' }, description: '' });
    await service.put('found', 2);
    await service.store.delete(key);
    const { models } = await service.client.listModels({});
    expect(models.find(({ name }) => name === 'lost')).toMatchObject({ loaded: false, version: '1' });
    expect(models.find(({ name }) => name === 'lost')?.loadError).toContain('gone');
    expect(models.map(({ name }) => name)).toContain('found');
    const index = await service.inference.repositoryIndex({ ready: false });
    expect(index.models.find(({ name }) => name === 'lost')).toMatchObject({ state: 'UNAVAILABLE' });
    await registry.delete('lost');
  });

  it('whose entry in the registry is damaged is listed with the reason, among the others, and goes on serving', async () => {
    const registry = createModelRegistry(service.store);
    const { sha256, size } = await service.store.put('runs/owls-1/model.safetensors', smallModel(1));
    const source = { kind: 'run' as const, id: 'owls-1' };
    const file = { key: 'runs/owls-1/model.safetensors', sha256, size, source, description: '' };
    for (const name of ['owls', 'rooks']) await registry.register(name, file);
    await service.client.loadModel({ model: 'owls' });
    await service.store.put('registry/owls.json', (await service.store.get('registry/owls.json')).subarray(0, 50));
    const { models } = await service.client.listModels({});
    const owls = models.find(({ name }) => name === 'owls');
    expect(owls).toMatchObject({ version: '', loaded: false, servingVersion: '1' });
    expect(owls?.loadError).toContain('registry/owls.json');
    expect(models.map(({ name }) => name)).toEqual(expect.arrayContaining(['owls-1', 'rooks']));
    expect(await service.client.embed({ model: 'owls', images })).toMatchObject({ modelVersion: '1' });
    await service.client.unloadModel({ model: 'owls' });
    await expect(service.client.embed({ model: 'owls', images })).rejects.toMatchObject({ code: 'DATA_LOSS' });
    const index = await service.inference.repositoryIndex({ ready: false });
    expect(index.models.find(({ name }) => name === 'owls')).toMatchObject({
      state: 'UNAVAILABLE',
      reason: expect.stringContaining('registry/owls.json') as string,
    });
    await service.store.delete('registry/owls.json');
  });

  it('is followed where an alias stands, while other names stay where they are', async () => {
    const registry = createModelRegistry(service.store);
    for (const seed of [1, 2]) {
      const { sha256, size } = await service.store.put(`runs/r${seed}/model.safetensors`, smallModel(seed));
      const source = { kind: 'run' as const, id: `r${seed}` };
      await registry.register('cats', {
        key: `runs/r${seed}/model.safetensors`,
        sha256,
        size,
        source,
        description: '',
      });
    }
    await registry.setAlias('cats', 'production', 1);
    const versionOf = async (model: string) => (await service.client.embed({ model, images })).modelVersion;
    expect(await Promise.all(['cats', 'cats@1', 'cats@production'].map(versionOf))).toEqual(['2', '1', '1']);
    const first = await vectorsOf('cats@1');
    await registry.setAlias('cats', 'production', 2);
    await expect.poll(() => versionOf('cats@production'), { timeout: 30_000 }).toBe('2');
    expect(await versionOf('cats@1')).toBe('1');
    expect(await vectorsOf('cats@1')).toEqual(first);
    expect(await vectorsOf('cats@production')).toEqual(await vectorsOf('cats'));
    const { models } = await service.client.listModels({});
    expect(models.find(({ name }) => name === 'cats')).toMatchObject({
      version: '2',
      aliases: expect.arrayContaining(['production']) as string[],
    });
    await expect(service.client.embed({ model: 'cats@nowhere', images })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('has health of its own while it is in memory', async () => {
    const health = connect(HealthDefinition, { service: 'embedding', address: service.address });
    await service.client.loadModel({ model: 'cats' });
    const check = async () => (await health.client.check({ service: 'models/cats' })).status;
    expect(await check()).toBe(1);
    for (const model of ['cats', 'cats@1']) await service.client.unloadModel({ model });
    await expect(check()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    health.close();
  });
});

describe('answers', () => {
  it('tell where the time went, and every limit is told by GetInfo', async () => {
    await service.put('timed', 1);
    const { timing } = await service.client.embed({ model: 'timed', images });
    expect(Number(timing?.inferenceUs)).toBeGreaterThan(0);
    const info = await service.client.getInfo({});
    expect(info).toMatchObject({
      ...{ maxImages: 256, maxSide: 16_383, maxBatch: 8, batchSizes: [1, 2, 3, 4, 6, 8], maxQueueImages: 600 },
      maxQueueBytes: 268_435_456n,
      ...{ maxStreamRequests: 8, decodingThreads: 2, background: [255, 255, 255], maxJobs: 1, device: 'cpu' },
      formats: ['jpeg', 'png', 'webp', 'avif', 'gif'],
    });
    expect(info.models.some(({ name }) => name === 'timed')).toBe(true);
  });

  it('come from the cache where there is one, the same', async () => {
    const cached = await startEmbedding({ maxCacheBytes: 1_000_000 });
    await cached.put('m', 1);
    const first = await cached.client.embed({ model: 'm', images });
    const again = await cached.client.embed({ model: 'm', images });
    expect(Number(first.timing?.inferenceUs)).toBeGreaterThan(0);
    expect(Number(again.timing?.inferenceUs)).toBe(0);
    expect(Buffer.from(again.vectors).equals(Buffer.from(first.vectors))).toBe(true);
    // Another model has other vectors for the same images.
    await cached.put('n', 2);
    const other = await cached.client.embed({ model: 'n', images });
    expect(Buffer.from(other.vectors).equals(Buffer.from(first.vectors))).toBe(false);
    // Four of the five are known.
    const value = {
      pixels: Buffer.concat([pixels.subarray(0, 4 * 3072), randomBytes(3072)]),
      count: 5,
      height: 32,
      width: 32,
    };
    const mixed = await cached.client.embed({ model: 'm', images: { $case: 'raw', value } });
    const known = 4 * dimension * 4;
    expect(Buffer.from(mixed.vectors).subarray(0, known).equals(Buffer.from(first.vectors).subarray(0, known))).toBe(
      true,
    );
    await cached.close();
  });

  it('are given to callers that stay; those that leave free their place', async () => {
    await service.put('left', 1);
    await service.client.loadModel({ model: 'left' });
    const leaving = new AbortController();
    const value = { pixels: randomBytes(256 * 3072), count: 256, height: 32, width: 32 };
    const large = () =>
      service.client.embed({ model: 'left', images: { $case: 'raw', value } }, { signal: leaving.signal });
    const gone = [large(), large()];
    const expected = await vectorsOf('left');
    leaving.abort();
    for (const call of gone) await expect(call).rejects.toThrow();
    // Two such requests and more fit again, though 512 of 600 places were taken.
    const value2 = { pixels: randomBytes(200 * 3072), count: 200, height: 32, width: 32 };
    const full = await service.client.embed({ model: 'left', images: { $case: 'raw', value: value2 } });
    expect(full.count).toBe(200);
    expect(largestDifference(await vectorsOf('left'), expected)).toBeLessThan(1e-5);
  });

  it('are given to a stream whose requests have no room together: they wait for it', async () => {
    await service.put('streamed', 1);
    const value = { pixels: randomBytes(200 * 3072), count: 200, height: 32, width: 32 };
    async function* requests() {
      for (let i = 0; i < 6; i++) yield { request: { model: 'streamed', images: { $case: 'raw' as const, value } } };
    }
    const counts: number[] = [];
    for await (const { response } of service.client.embedStream(requests())) counts.push(response?.count ?? 0);
    expect(counts).toEqual([200, 200, 200, 200, 200, 200]);
  });

  it('that nobody waits for are counted by why: a deadline, or a caller that left', async () => {
    await service.put('counted', 1);
    await service.client.loadModel({ model: 'counted' });
    const counted = async (reason: string): Promise<number> => {
      const text = await (await fetch(`http://${service.metricsAddress}/metrics`)).text();
      const line = `kindred_embedding_errors_total{scope="request",reason="${reason}"} `;
      return Number(
        text
          .split('\n')
          .find((one) => one.startsWith(line))
          ?.slice(line.length) ?? 0,
      );
    };
    const value = { pixels: randomBytes(200 * 3072), count: 200, height: 32, width: 32 };
    const request = { model: 'counted', images: { $case: 'raw' as const, value } };
    const before = [await counted('DEADLINE_EXCEEDED'), await counted('CANCELLED')] as const;
    // Calls that end before they are at the model are counted nowhere: until one was.
    const late = async (): Promise<number> => {
      await Promise.allSettled([1, 2].map(() => service.client.embed(request, { deadlineMs: 5 })));
      return counted('DEADLINE_EXCEEDED');
    };
    await expect.poll(late, { timeout: 30_000 }).toBeGreaterThan(before[0]);
    expect(await counted('CANCELLED')).toBe(before[1]);
    const left = async (): Promise<number> => {
      await Promise.allSettled(
        [1, 2].map(() => service.client.embed(request, { deadlineMs: 60_000, signal: AbortSignal.timeout(5) })),
      );
      return counted('CANCELLED');
    };
    await expect.poll(left, { timeout: 30_000 }).toBeGreaterThan(before[1]);
  });

  it('are not waited for past a deadline: what is late gives its place to others', async () => {
    await service.put('late', 1);
    await service.client.loadModel({ model: 'late' });
    const value = { pixels: randomBytes(256 * 3072), count: 256, height: 32, width: 32 };
    const busy = service.client.embed({ model: 'late', images: { $case: 'raw', value } });
    const waiting = { pixels: randomBytes(250 * 3072), count: 250, height: 32, width: 32 };
    const late = service.client.embed({ model: 'late', images: { $case: 'raw', value: waiting } }, { deadlineMs: 5 });
    await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect((await busy).count).toBe(256);
    expect((await service.client.embed({ model: 'late', images })).count).toBe(5);
  });
});

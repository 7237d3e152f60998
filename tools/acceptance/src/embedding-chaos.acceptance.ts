// The embedding service under load while it is killed, reloaded and left by its callers, at random: every answer that is given is the
// right vector, and no call outlives its deadline.
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createFolderStore, type ArtifactStore } from '@kindred/artifact-store';
import { isKindredError } from '@kindred/errors';
import { createModelRegistry, type ModelRegistry } from '@kindred/lineage';
import { EmbeddingServiceDefinition } from '@kindred/protocol/embedding';
import { connect, float32Of } from '@kindred/service-runtime';
import { createArchitecture, decodeModelFile, encodeModelFile, initialParameters } from '@kindred/simclr';
import { createEncoder } from '@kindred/tensorflow-native';
import { temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startRestartedService, type RestartedService } from './restarted-service.js';

const events = 200;
const callers = 6;
/** Many times what a restart and a reload take together: a call that runs into it hangs, and is a failure whenever it ends. */
const deadlineMs = 20_000;
/** A client may notice its deadline so much late: a machine with more to do than it can. */
const graceMs = 10_000;
const dimension = 16;
const imageCount = 40;
const seeds = [1, 2, 3];

let store: ArtifactStore;
let registry: ModelRegistry;
let service: RestartedService;
const images = Uint8Array.from({ length: imageCount * 3072 }, (_, i) => (Math.imul(i, 2654435761) >>> 12) & 255);
/** The offline features of each version, float32 [imageCount, dimension]: by the plain encoder, in this process. */
const offline = new Map<string, Float32Array>();

beforeAll(async () => {
  const folder = join(temporaryFolder(), 'artifacts');
  store = await createFolderStore(folder);
  registry = createModelRegistry(store);
  const architecture = createArchitecture({ width: 8, featureDim: dimension });
  for (const seed of seeds) {
    const file = encodeModelFile({
      architecture,
      parameters: initialParameters(architecture, seed),
      normalisation: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
      cropSize: 32,
      origin: {},
    });
    const key = `runs/seed-${seed}/model.safetensors`;
    const { sha256, size } = await store.put(key, file);
    const source = { kind: 'run' as const, id: `seed-${seed}` };
    const { version } = await registry.register('live', { key, sha256, size, source, description: '' });
    const encoder = createEncoder(decodeModelFile(file));
    offline.set(String(version), encoder.embed(images, imageCount, 32, 32).embedding);
    encoder.dispose();
  }
  await registry.setAlias('live', 'production', 1);
  service = await startRestartedService('embedding', {
    KINDRED_ARTIFACT_STORE: folder,
    KINDRED_EMBEDDING_FOLLOW_MS: '100',
    KINDRED_EMBEDDING_MAX_BATCH: '8',
    KINDRED_EMBEDDING_MAX_QUEUED: '256',
  });
});
afterAll(() => service?.stop());

it(
  `gives right answers or none over ${events} kills, reloads and cancellations`,
  { timeout: 30 * 60_000 },
  async () => {
    const { client, close } = connect(EmbeddingServiceDefinition, { service: 'embedding', address: service.address });
    let ended = false;
    const cancellers = new Set<AbortController>();
    const count = { answered: 0, cancelled: 0, refused: 0, kills: 0, reloads: 0, longest: 0 };
    const versions = new Set<string>();

    /** One call of some images; what it answers must be what the version that it names gives offline. */
    const call = async (): Promise<void> => {
      const size = randomInt(1, 9);
      const start = randomInt(0, imageCount - size);
      const pixels = images.subarray(start * 3072, (start + size) * 3072);
      const leaving = new AbortController();
      cancellers.add(leaving);
      const begin = performance.now();
      try {
        const raw = { $case: 'raw' as const, value: { pixels, count: size, height: 32, width: 32 } };
        const answer = await client.embed(
          { model: 'live@production', images: raw },
          { signal: leaving.signal, deadlineMs },
        );
        const wanted = offline.get(answer.modelVersion)?.subarray(start * dimension, (start + size) * dimension);
        const got = float32Of(answer.vectors, 'vectors');
        expect(got).toHaveLength(wanted?.length ?? NaN);
        // Folding and batches of other sizes round otherwise; vectors of other images or versions differ by tenths.
        got.forEach((value, i) => expect(Math.abs(value - (wanted?.[i] ?? NaN))).toBeLessThan(1e-4));
        count.answered++;
        versions.add(answer.modelVersion);
      } catch (thrown) {
        if (leaving.signal.aborted) count.cancelled++;
        else {
          // Away, or full: these may be; anything else, a wrong vector or a deadline that had to end a call first of all, may not.
          const allowed = ['UNAVAILABLE', 'RESOURCE_EXHAUSTED', 'CANCELLED'];
          if (!isKindredError(thrown) || !allowed.includes(thrown.code)) throw thrown;
          count.refused++;
          await delay(20);
        }
      } finally {
        cancellers.delete(leaving);
        const took = performance.now() - begin;
        count.longest = Math.max(count.longest, took);
        expect(took).toBeLessThan(deadlineMs + graceMs);
      }
    };
    const load = Array.from({ length: callers }, async () => {
      while (!ended) await call();
    });
    const failed = Promise.all(load);
    failed.catch(() => (ended = true));

    for (let event = 0; event < events && !ended; event++) {
      const kind = randomInt(0, 10);
      if (kind === 0) {
        await service.kill();
        count.kills++;
        await service.ready();
      } else if (kind < 5) {
        await registry.setAlias('live', 'production', randomInt(1, seeds.length + 1));
        count.reloads++;
      } else {
        [...cancellers].slice(0, randomInt(1, callers)).forEach((caller) => caller.abort());
      }
      await delay(randomInt(20, 400));
    }
    ended = true;
    await failed;
    close();
    console.info(JSON.stringify({ ...count, longest: Math.round(count.longest), versions: [...versions].sort() }));
    expect(count.answered).toBeGreaterThan(events);
    expect(count.kills).toBeGreaterThan(0);
    expect([...versions].sort()).toEqual(['1', '2', '3']);
  },
);

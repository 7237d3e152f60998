// Loads and what they may take: the machine is asked before anything is loaded, and others are served between a load's steps.
import { join } from 'node:path';
import { createFolderStore } from '@kindred/artifact-store';
import { createHealthBoard, createLogger } from '@kindred/service-runtime';
import { temporaryFolder } from '@kindred/testing';
import { expect, it } from 'vitest';
import { createEncoderThreads, type EncoderThreads } from '../engine/encoder-threads.js';
import { smallModel } from '../spec/running-embedding.js';
import { createModelSource } from './model-source.js';
import { createServedModels } from './served-models.js';

it('are not loaded where the machine has no memory for them, however much their budget allows', async () => {
  const store = await createFolderStore(join(temporaryFolder(), 'artifacts'));
  await store.put('runs/small/model.safetensors', smallModel(1));
  let loads = 0;
  const encoder: EncoderThreads = {
    instances: 1,
    load: () => Promise.resolve(++loads > 0 ? 'cpu' : 'gpu'),
    embed: () => Promise.reject(new Error('nothing is embedded here')),
    unload: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  let availableBytes = 0;
  const models = createServedModels({
    source: createModelSource(store),
    encoder,
    batching: { batchSizes: [1], maxDelayMs: 1, maxDepth: 8, maxQueuedBytes: 2 ** 20 },
    maxBytes: 2 ** 40,
    followMs: 60_000,
    availableBytes: () => availableBytes,
    logger: createLogger('embedding', 'silent'),
    health: createHealthBoard(),
  });
  try {
    await expect(models.load('small')).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect([loads, await models.ready('small')]).toEqual([0, false]);
    availableBytes = 2 ** 40;
    expect(await models.load('small')).toMatchObject({ loaded: true });
    expect([loads, await models.ready('small')]).toEqual([1, true]);
  } finally {
    models.close();
  }
});

it('are loaded between the batches of others', async () => {
  const encoder = createEncoderThreads({ instances: 1, threadsEach: 1 });
  try {
    await encoder.load('first', smallModel(1), [1]);
    const order: string[] = [];
    const load = encoder.load('second', smallModel(2), [1, 2, 3, 4]).then(() => order.push('loaded'));
    // Sent after the load had begun: in one piece, the load would end before it.
    const batch = encoder.embed('first', new Uint8Array(32 * 32 * 3), 1, 1).then(() => order.push('embedded'));
    await Promise.all([load, batch]);
    expect(order).toEqual(['embedded', 'loaded']);
  } finally {
    await encoder.close();
  }
});

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createEvaluationPipeline, createSimclrPipeline, shuffledIndices } from '@kindred/augmentation';
import { openDataset } from '@kindred/datasets';
import { Split, type StreamBatchesResponse } from '@kindred/protocol/augmentation';
import { int32Of, uint32Of } from '@kindred/service-runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { epochRequest, startAugmentation, type AugmentationUnderTest } from './spec/start-augmentation.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

async function read(stream: AsyncIterable<StreamBatchesResponse>): Promise<StreamBatchesResponse[]> {
  const batches: StreamBatchesResponse[] = [];
  for await (const batch of stream) batches.push(batch);
  return batches;
}

const joined = (batches: StreamBatchesResponse[], field: 'images' | 'indices' | 'labels'): Buffer =>
  Buffer.concat(batches.map((batch) => batch[field]));

describe('StreamBatches', () => {
  let service: AugmentationUnderTest;
  beforeAll(async () => {
    service = await startAugmentation();
  });
  afterAll(() => service.close());

  it('gives the views that the library gives, in the order of the epoch', async () => {
    const batches = await read(service.client.streamBatches(epochRequest()));
    expect(batches.map(({ batch, batchCount, count }) => [batch, batchCount, count])).toEqual([
      [0, 5, 64],
      [1, 5, 64],
      [2, 5, 64],
      [3, 5, 64],
      [4, 5, 44],
    ]);
    const dataset = await openDataset({ name: 'drawn', split: 'train', seed: 1, count: 300 });
    const pipeline = createSimclrPipeline({
      random_resized_crop: { size: 32, scale: [0.2, 1] },
      color_jitter_random_apply: { p: 0.8 },
      color_jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
      random_grayscale: { p: 0.2 },
    });
    const order = shuffledIndices(300, 7n, 3);
    const expected = new Uint8Array(300 * 2 * pipeline.viewBytes);
    order.forEach((imageIndex, i) =>
      pipeline.viewPair(
        dataset.image(imageIndex),
        { seed: 7n, epoch: 3, imageIndex },
        expected,
        i * 2 * pipeline.viewBytes,
      ),
    );
    expect(joined(batches, 'images').equals(expected)).toBe(true);
    expect([...uint32Of(joined(batches, 'indices'), 'indices')]).toEqual([...order]);
    expect([...int32Of(joined(batches, 'labels'), 'labels')]).toEqual([...order].map((index) => dataset.labels[index]));
  });

  it('depends on neither batch size nor threads nor replica', async () => {
    const other = await startAugmentation({ threads: 1 });
    try {
      const here = await read(service.client.streamBatches(epochRequest({ batchSize: 300 })));
      const there = await read(other.client.streamBatches(epochRequest({ batchSize: 17 })));
      expect(joined(here, 'images').equals(joined(there, 'images'))).toBe(true);
    } finally {
      await other.close();
    }
  });

  it('draws anew for another seed and another epoch', async () => {
    const [first] = await read(service.client.streamBatches(epochRequest({ shuffle: false })));
    for (const change of [{ seed: 8n }, { epoch: 4 }]) {
      const [other] = await read(service.client.streamBatches(epochRequest({ shuffle: false, ...change })));
      expect(Buffer.compare(first?.images ?? Buffer.of(), other?.images ?? Buffer.of())).not.toBe(0);
    }
  });

  it('goes on where an earlier stream broke', async () => {
    const whole = await read(service.client.streamBatches(epochRequest()));
    const rest = await read(service.client.streamBatches(epochRequest({ firstBatch: 3 })));
    expect(rest.map(({ batch }) => batch)).toEqual([3, 4]);
    expect(joined(rest, 'images').equals(joined(whole.slice(3), 'images'))).toBe(true);
    expect(await read(service.client.streamBatches(epochRequest({ firstBatch: 5 })))).toEqual([]);
  });

  it('leaves out the last batch where asked, and gives one centred view for evaluation', async () => {
    const evaluation = { kind: { $case: 'evaluation', value: { cropSize: 28 } } } as const;
    const request = epochRequest({ transformation: evaluation, shuffle: false, dropLast: true });
    const batches = await read(service.client.streamBatches(request));
    expect(batches.map(({ count, views, height, width }) => [count, views, height, width])).toEqual(
      Array(4).fill([64, 1, 28, 28]),
    );
    const dataset = await openDataset({ name: 'drawn', split: 'train', seed: 1, count: 300 });
    const expected = new Uint8Array(28 * 28 * 3);
    createEvaluationPipeline({ cropSize: 28 }).view(dataset.image(65), expected, 0);
    expect(Buffer.from(batches[1]?.images.subarray(expected.length, 2 * expected.length) ?? []).equals(expected)).toBe(
      true,
    );
  });

  it('serves two streams at once and answers health while it works', async () => {
    const dataset = { name: 'drawn', split: Split.TRAIN, root: '', drawnSize: 1500, drawnSeed: 2n };
    const alone = await read(service.client.streamBatches(epochRequest({ dataset })));
    let answers = 0;
    let working = true;
    const watch = (async () => {
      for (; working; answers++) await service.health.check({ service: '' });
    })();
    const both = await Promise.all([
      read(service.client.streamBatches(epochRequest({ dataset }))),
      read(service.client.streamBatches(epochRequest({ dataset, epoch: 9 }))),
    ]);
    working = false;
    await watch;
    expect(answers).toBeGreaterThan(10);
    expect(joined(both[0], 'images').equals(joined(alone, 'images'))).toBe(true);
  });

  it('does not grow for a reader that has stopped reading, and stops when it leaves', async () => {
    const dataset = { name: 'drawn', split: Split.TRAIN, root: '', drawnSize: 8_000, drawnSeed: 2n };
    await service.client.getDataset({ dataset });
    const settle = async (): Promise<number> => {
      await new Promise((resolve) => setTimeout(resolve, 400));
      collectGarbage();
      await new Promise((resolve) => setTimeout(resolve, 50));
      return process.memoryUsage().arrayBuffers;
    };
    const before = await settle();
    // The epoch is 220 MB in batches of 1.8 MB, of which the client's own stream may hold 16.
    const transformation = { kind: { $case: 'evaluation', value: { cropSize: 96 } } } as const;
    const iterator = service.client.streamBatches(epochRequest({ dataset, transformation }))[Symbol.asyncIterator]();
    await iterator.next();
    // Until the buffers are full: on a busy machine that takes more than one look.
    let early = await settle();
    let late = await settle();
    for (let look = 0; look < 10 && Math.abs(late - early) >= 20e6; look++) [early, late] = [late, await settle()];
    expect(Math.abs(late - early)).toBeLessThan(20e6);
    expect(late - before).toBeLessThan(120e6);
    await iterator.return?.();
    await read(service.client.streamBatches(epochRequest()));
  });

  it('ends at once when the caller cancels', async () => {
    const abort = new AbortController();
    const dataset = { name: 'drawn', split: Split.TRAIN, root: '', drawnSize: 8_000, drawnSeed: 2n };
    let received = 0;
    const reading = (async () => {
      for await (const _ of service.client.streamBatches(epochRequest({ dataset }), { signal: abort.signal })) {
        if (++received === 3) abort.abort();
      }
    })();
    await expect(reading).rejects.toThrow();
    expect(received).toBeLessThan(6);
  });
});

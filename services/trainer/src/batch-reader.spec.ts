// The batch reader against a service that is busy for a while, for too long, or past a limit that stays.
import { KindredError, type ErrorFields } from '@kindred/errors';
import {
  AugmentationServiceDefinition,
  StreamBatchesRequest,
  StreamBatchesResponse,
  type AugmentationServiceImplementation,
} from '@kindred/protocol/augmentation';
import { createLogger, startService } from '@kindred/service-runtime';
import { afterEach, describe, expect, it } from 'vitest';
import { createBatchReader } from './batch-reader.js';

const missing = (): never => {
  throw new Error('not part of this test');
};
const closing: (() => Promise<void>)[] = [];

/** A service of three batches that breaks off before each, `refusals` times, with RESOURCE_EXHAUSTED. */
async function startBusyService(refusals: number, fields: ErrorFields) {
  const calls: number[] = [];
  const left = [refusals, refusals, refusals];
  const handlers: AugmentationServiceImplementation = {
    listDatasets: missing,
    getDataset: missing,
    augment: missing,
    async *streamBatches({ firstBatch }) {
      calls.push(firstBatch);
      for (let batch = firstBatch; batch < left.length; batch++) {
        const more = left[batch] ?? 0;
        left[batch] = more - 1;
        if (more > 0) throw new KindredError('RESOURCE_EXHAUSTED', 'too many streams', fields);
        yield StreamBatchesResponse.create({ batch, batchCount: left.length });
      }
    },
  };
  const service = await startService({
    name: 'data-augmentation',
    network: { host: '127.0.0.1', port: 0, metricsPort: 0, drainMs: 100, maxConnectionAgeMs: 0 },
    logger: createLogger('fake', 'silent'),
    register: (registrar) => registrar.add(AugmentationServiceDefinition, handlers),
  });
  closing.push(() => service.close());
  return { address: service.address, calls };
}

async function readAll(address: string, retryMs: number) {
  const notices: string[] = [];
  const reader = createBatchReader({ address, retryMs }, (message) => void notices.push(message));
  closing.unshift(() => reader.close());
  const batches: number[] = [];
  for await (const { batch } of reader.stream(StreamBatchesRequest.create({}), 3)) batches.push(batch);
  return { batches, notices };
}

describe('batch reader', () => {
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  it('waits for a busy service as long as that says when to retry, and goes on from the next batch', async () => {
    const { address, calls } = await startBusyService(2, { retryAfterMs: 5 });
    const { batches, notices } = await readAll(address, 60_000);
    expect(batches).toEqual([0, 1, 2]);
    expect(calls).toEqual([0, 0, 0, 1, 1, 2, 2]);
    expect(notices[0]).toContain('too many streams');
  });

  it('gives up a service that stays busy', async () => {
    const { address, calls } = await startBusyService(Infinity, { retryAfterMs: 5 });
    await expect(readAll(address, 50)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: 5 });
    expect(calls.length).toBeGreaterThan(1);
  });

  it('does not try a limit again that stays', async () => {
    const { address, calls } = await startBusyService(1, { resource: { type: 'dataset', name: 'cifar-10' } });
    await expect(readAll(address, 60_000)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      resource: { type: 'dataset', name: 'cifar-10' },
    });
    expect(calls).toEqual([0]);
  });
});

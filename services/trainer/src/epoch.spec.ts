import { StreamBatchesResponse } from '@kindred/protocol/augmentation';
import { describe, expect, it } from 'vitest';
import { trainEpoch } from './epoch.js';
import type { RunEventBody } from './run.js';

async function* batches(count: number): AsyncGenerator<StreamBatchesResponse> {
  for (let batch = 0; batch < count; batch++) yield StreamBatchesResponse.create({ batch, batchCount: count });
}

describe('epoch', () => {
  const plan = { batchSize: 4, logSteps: 2 };

  it('gives the mean of the losses and an event for every so many steps', async () => {
    const losses = [4, 2, 3, 1, 5];
    const events: RunEventBody[] = [];
    const result = await trainEpoch({ step: () => losses.shift() ?? 0 }, plan, 7, {
      batches: batches(5),
      rate: 0.1,
      signal: new AbortController().signal,
      emit: (event) => events.push(event),
    });
    expect(result).toMatchObject({ steps: 5, meanLoss: 3 });
    expect(events).toMatchObject([
      { kind: 'step', epoch: 7, step: 1, loss: 2, learningRate: 0.1 },
      { kind: 'step', epoch: 7, step: 3, loss: 1 },
    ]);
  });

  it('stops when the loss is no number, and when cancelled', async () => {
    const abort = new AbortController();
    const surroundings = { rate: 0.1, signal: abort.signal, emit: () => {} };
    await expect(
      trainEpoch({ step: () => NaN }, plan, 0, { ...surroundings, batches: batches(3) }),
    ).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    let steps = 0;
    const step = (): number => {
      if (++steps === 2) abort.abort();
      return 1;
    };
    await expect(trainEpoch({ step }, plan, 0, { ...surroundings, batches: batches(9) })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    expect(steps).toBe(2);
  });
});

import { StreamBatchesResponse } from '@kindred/protocol/augmentation';
import { describe, expect, it } from 'vitest';
import { trainEpoch, type EpochStand } from './epoch.js';
import { beginning } from './progress.js';
import type { RunEventBody } from './run.js';

async function* batches(count: number, first = 0): AsyncGenerator<StreamBatchesResponse> {
  for (let batch = first; batch < count; batch++) yield StreamBatchesResponse.create({ batch, batchCount: count });
}

describe('epoch', () => {
  const plan = { batchSize: 4, logSteps: 2 };
  const start: EpochStand = {
    progress: { ...beginning, epochsCompleted: 7, stepsCompleted: 35 },
    elapsed: { seconds: 0, waitedSeconds: 0 },
  };
  const surroundings = (events: RunEventBody[] = []) => ({
    rate: () => 0.1,
    signal: new AbortController().signal,
    emit: (event: RunEventBody) => void events.push(event),
    between: async () => false,
  });

  it('adds up the losses and gives an event for every so many steps', async () => {
    const losses = [4, 2, 3, 1, 5];
    const events: RunEventBody[] = [];
    const { progress, stopped } = await trainEpoch(
      { prefetches: false, step: () => losses.shift() ?? 0 },
      plan,
      start,
      {
        ...surroundings(events),
        batches: batches(5),
      },
    );
    expect(progress).toMatchObject({ epochSteps: 5, lossTotal: 15, stepsCompleted: 40 });
    expect(stopped).toBe(false);
    expect(events).toMatchObject([
      { kind: 'step', epoch: 7, step: 1, loss: 2, learningRate: 0.1, dataWaitSeconds: expect.any(Number) },
      { kind: 'step', epoch: 7, step: 3, loss: 1 },
    ]);
  });

  it('hands a trainer that prefetches each batch twice: as the next one, then as the one to train on', async () => {
    async function* drawn(): AsyncGenerator<StreamBatchesResponse> {
      for (let batch = 0; batch < 4; batch++) {
        yield StreamBatchesResponse.create({ batch, batchCount: 4, images: Uint8Array.of(batch) });
      }
    }
    const steps = async (prefetches: boolean, until: number): Promise<(Uint8Array | null | undefined)[][]> => {
      const calls: (Uint8Array | null | undefined)[][] = [];
      const step = (views: Uint8Array, _rate: number, next?: Uint8Array | null): number => {
        calls.push([views, next]);
        return 1;
      };
      await trainEpoch({ prefetches, step }, plan, start, {
        ...surroundings(),
        batches: drawn(),
        between: async ({ progress }) => progress.epochSteps === until,
      });
      return calls;
    };
    const [ahead, stopped, plain] = [await steps(true, -1), await steps(true, 2), await steps(false, -1)];
    expect(ahead.map(([views]) => views?.[0])).toEqual([0, 1, 2, 3]);
    ahead.forEach(([, next], i) => expect(next).toBe(ahead[i + 1]?.[0]));
    expect(stopped).toHaveLength(2);
    expect(plain.map(([views, next]) => [views?.[0], next])).toEqual([0, 1, 2, 3].map((i) => [i, undefined]));
  });

  it('goes on in the middle with the same sums and events, bit for bit', async () => {
    const losses = [0.1, 0.2, 0.3, 1e-17, 0.7, 1 / 3, 5];
    const run = async (from: EpochStand, until: number) => {
      const events: RunEventBody[] = [];
      const first = from.progress.epochSteps;
      let next = first;
      const stand = await trainEpoch({ prefetches: first % 2 === 1, step: () => losses[next++] ?? NaN }, plan, from, {
        ...surroundings(events),
        batches: batches(losses.length, first),
        between: async ({ progress }) => progress.epochSteps === until,
      });
      return { stand, events: events.map((event) => (event.kind === 'step' ? [event.step, event.loss] : [])) };
    };
    const whole = await run(start, -1);
    for (let cut = 1; cut < losses.length; cut++) {
      const before = await run(start, cut);
      expect(before.stand.stopped).toBe(true);
      // What a checkpoint stores is JSON.
      const after = await run(JSON.parse(JSON.stringify(before.stand)) as EpochStand, -1);
      expect(after.stand.progress).toEqual(whole.stand.progress);
      expect([...before.events, ...after.events]).toEqual(whole.events);
      expect(after.stand.elapsed.seconds).toBeGreaterThanOrEqual(before.stand.elapsed.seconds);
    }
  });

  it('stops when the loss is no number, naming the step, and when cancelled', async () => {
    let calls = 0;
    const failing = trainEpoch({ prefetches: false, step: () => (++calls === 3 ? NaN : 1) }, plan, start, {
      ...surroundings(),
      batches: batches(4),
    });
    await expect(failing).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('epoch 7, step 2 (step 37 of the run)') as string,
    });
    const abort = new AbortController();
    let steps = 0;
    const step = (): number => {
      if (++steps === 2) abort.abort();
      return 1;
    };
    await expect(
      trainEpoch({ prefetches: true, step }, plan, start, {
        ...surroundings(),
        signal: abort.signal,
        batches: batches(9),
      }),
    ).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(steps).toBe(2);
  });
});

// TensorBoard's projector at the end of a run: what goes wrong with it is told, and does not undo the run.
import { KindredError } from '@kindred/errors';
import { StreamBatchesRequest, StreamBatchesResponse } from '@kindred/protocol/augmentation';
import { describe, expect, it } from 'vitest';
import { saveProjector } from './network-checks.js';
import type { RunSpecification } from './run.js';
import type { TrainingSurroundings } from './training-job.js';

const side = 2;

async function* oneImage(): AsyncGenerator<StreamBatchesResponse, void, undefined> {
  yield StreamBatchesResponse.create({
    batchCount: 1,
    count: 1,
    images: new Uint8Array(side * side * 3),
    labels: new Uint8Array(4),
  });
}

/** Saves the projector with what `fault` puts in the place of a part that works. Returns the notices. */
async function save(fault: {
  readonly put?: () => Promise<never>;
  readonly stream?: TrainingSurroundings['reader']['stream'];
  readonly signal?: AbortSignal;
}): Promise<string[]> {
  const notices: string[] = [];
  const put = fault.put ?? (async () => ({ sha256: '', size: 0 }));
  const { signal = new AbortController().signal, stream = oneImage } = fault;
  await saveProjector(
    { specification: { runId: 'r1' } as RunSpecification },
    { projectorImages: 1, cropSize: side, evaluationBatches: () => StreamBatchesRequest.create({}) },
    { evaluate: () => ({ count: 1, embedding: Float32Array.of(1, 0), backbone: Float32Array.of(1) }) },
    {
      reader: { stream, close: async () => {} },
      artifacts: { put } as unknown as TrainingSurroundings['artifacts'],
      signal,
      notify: (message) => void notices.push(message),
    },
  );
  return notices;
}

describe('saveProjector', () => {
  it('says nothing when all is well', async () => {
    expect(await save({})).toEqual([]);
  });

  it('gives a notice where there is no space', async () => {
    const resource = { type: 'folder', name: '/data' };
    const put = () => Promise.reject(new KindredError('RESOURCE_EXHAUSTED', 'no space left in /data', { resource }));
    expect(await save({ put })).toEqual([expect.stringContaining('no space left in /data')]);
  });

  it('gives a notice where its images cannot be read', async () => {
    const stream = (): never => {
      throw new KindredError('UNAVAILABLE', 'data-augmentation does not answer');
    };
    expect(await save({ stream })).toEqual([expect.stringContaining('does not answer')]);
  });

  it('ends when the run is cancelled', async () => {
    await expect(save({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

import { KindredError, notFound } from '@kindred/errors';
import { describe, expect, it } from 'vitest';
import { createHandlers } from './handlers.js';
import type { RunsInTurn } from './runs-in-turn.js';

const ids = Array.from({ length: 40 }, (_, index) => `run-${index}`);

/** Runs of which none can be read. */
function handlersOver(errorOf: (runId: string) => KindredError) {
  const seen = { list: () => ids, damaged: [], get: (runId: string) => Promise.reject(errorOf(runId)) };
  const runs = { seen: () => seen, changed: () => seen } as unknown as RunsInTurn;
  return createHandlers(runs, new AbortController().signal, false);
}
const context = {} as never;

describe('listRuns', () => {
  it('lists a run whose files are gone as damaged, in its place', async () => {
    const { listRuns } = handlersOver((runId) => notFound('run', runId));
    const { runs = [], nextPageToken } = await listRuns({ pageSize: 35, pageToken: '' }, context);
    expect(runs.map(({ runId }) => runId)).toEqual(ids.slice(0, 35));
    expect(nextPageToken).toBe('run-35');
  });

  it('says that the store is away, rather than that runs are damaged', async () => {
    const { listRuns } = handlersOver(() => new KindredError('UNAVAILABLE', 'the store does not answer'));
    await expect(listRuns({ pageSize: 0, pageToken: '' }, context)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

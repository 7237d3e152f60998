import { readFileSync } from 'node:fs';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { createFolderStore } from '@kindred/artifact-store';
import { KindredError } from '@kindred/errors';
import { readExperiment } from '@kindred/experiment';
import { writeManifest } from '@kindred/lineage';
import { createLogger } from '@kindred/service-runtime';
import type { TensorFlowOptions } from '@kindred/tensorflow-native';
import { temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import type { RunningTraining, TrainingEnd, TrainingExecutor, TrainingListener } from './executor.js';
import { createDatasetPinner } from './pinned-datasets.js';
import { checkpointKey, commitKey, type RunSpecification } from './run.js';
import { createRunQueue } from './run-queue.js';
import { createRunStore } from './run-store.js';
import { openRuns } from './runs.js';
import type { TrainingJob } from './training-job.js';

const text = readFileSync(join(import.meta.dirname, '../../../configs/pretext/simclr_cifar10.yml'), 'utf8');
const time = '2026-01-01T00:00:00.000Z';
const specification = (runId: string, lr = '0.4'): RunSpecification => ({
  runId,
  experiment: readExperiment({ text, overrides: { 'optimizer_kwargs.lr': lr } }),
  dataRoot: '',
  seed: '1',
  createTime: new Date().toISOString(),
});

const noSpace = () =>
  new KindredError('RESOURCE_EXHAUSTED', 'no space left in /data; free some', {
    resource: { type: 'folder', name: '/data' },
  });

/** An executor whose training processes do what the test tells them. */
function scriptedExecutor() {
  const started: {
    job: TrainingJob;
    listener: TrainingListener;
    end: (end: TrainingEnd) => void;
    cancelled: boolean;
  }[] = [];
  const executor: TrainingExecutor = {
    start(job, listener): RunningTraining {
      let end: (end: TrainingEnd) => void = () => {};
      const ended = new Promise<TrainingEnd>((resolve) => (end = resolve));
      const process = { job, listener, end, cancelled: false };
      started.push(process);
      return {
        ended,
        cancel: () => {
          process.cancelled = true;
          end({ kind: 'failed', error: new KindredError('CANCELLED', 'cancelled'), stepsCompleted: 0 });
        },
        kill: () => end({ kind: 'lost', reason: 'signal SIGKILL' }),
      };
    },
  };
  const next = async (count: number) => {
    while (started.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
    return started[count - 1] as (typeof started)[number];
  };
  return { executor, next };
}

describe('runs', () => {
  const folder = temporaryFolder();
  const open = async (
    name: string,
    script = scriptedExecutor(),
    tensorFlow: TensorFlowOptions = { intraOpThreads: 1 },
  ) => {
    const artifacts = await createFolderStore(join(folder, name));
    const store = createRunStore(artifacts);
    const options = { store, logger: createLogger('trainer', 'silent') };
    const queue = createRunQueue({ ...options, executor: script.executor, tensorFlow, keepCheckpoints: 2 });
    const runs = await openRuns({ ...options, queue, pinDatasets: createDatasetPinner(artifacts), maxPendingRuns: 1 });
    const epoch = async (process: Awaited<ReturnType<typeof script.next>>, epochsCompleted: number, best = 1) => {
      process.listener.onEvent(time, {
        kind: 'knn',
        epochsTrained: epochsCompleted,
        top1: epochsCompleted,
        seconds: 1,
      });
      const stepsCompleted = epochsCompleted * 10;
      const key = checkpointKey(process.job.specification.runId, stepsCompleted);
      const { sha256 } = await artifacts.put(key, new TextEncoder().encode(`state ${epochsCompleted}`));
      const checkpoint = { epochsCompleted, stepsCompleted, key, sha256, knnTop1: 1, best: epochsCompleted === best };
      process.listener.onEvent(time, { kind: 'checkpoint', ...checkpoint });
      await process.listener.onCommit({ checkpoint, elapsed: { seconds: 0, waitedSeconds: 0 } });
    };
    const watchToEnd = async (runId: string) => {
      for await (const _ of runs.watch(runId, 0, new AbortController().signal));
      return runs.get(runId);
    };
    return { runs, artifacts, epoch, watchToEnd, next: script.next };
  };

  it('begins with the records of runs that had ended, and reads the history of one that is asked for', async () => {
    const first = await open('many');
    const process = await (await first.runs.start(specification('r1')), first.next(1));
    await first.epoch(process, 1);
    process.end({ kind: 'done', artifacts: [] });
    const ended = await first.watchToEnd('r1');
    const records = 40;
    const bytes = await first.artifacts.get('runs/r1/run.json');
    const copyOf = (id: string) =>
      new TextEncoder().encode(new TextDecoder().decode(bytes).replaceAll('"r1"', `"${id}"`));
    for (let i = 0; i < records; i++) await first.artifacts.put(`runs/old-${i}/run.json`, copyOf(`old-${i}`));
    const keys: string[] = [];
    let [under, most] = [0, 0];
    const artifacts = {
      ...first.artifacts,
      async get(key: string, sha256?: string) {
        keys.push(key);
        most = Math.max(most, ++under);
        return first.artifacts.get(key, sha256).finally(() => under--);
      },
    };
    const store = createRunStore(artifacts);
    const options = { store, logger: createLogger('trainer', 'silent') };
    const { executor } = scriptedExecutor();
    const queue = createRunQueue({ ...options, executor, tensorFlow: {}, keepCheckpoints: 2 });
    const runs = await openRuns({ ...options, queue, maxPendingRuns: 1 });
    expect(keys).toHaveLength(records + 1);
    expect(keys.every((key) => key.endsWith('/run.json'))).toBe(true);
    // Side by side, but not all at once.
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(32);
    expect(runs.list()).toHaveLength(records + 1);
    keys.length = 0;
    const both = await Promise.all([runs.get('r1'), runs.get('r1')]);
    for (const { events } of both) expect(events).toEqual(ended.events);
    expect(keys).toEqual(['runs/r1/run.json', commitKey('r1', 10)]);
  });

  it('goes on after the service was killed, from the last checkpoint, with the history up to it', async () => {
    const first = await open('killed');
    await first.runs.start(specification('r1'));
    const process = await first.next(1);
    await first.epoch(process, 1);
    process.listener.onEvent(time, { kind: 'knn', epochsTrained: 99, top1: 0, seconds: 1 });

    const second = await open('killed');
    const { job } = await second.next(1);
    expect(job.checkpoint?.checkpoint.key).toBe(checkpointKey('r1', 10));
    expect((await second.runs.get('r1')).events.map(({ number }) => number)).toEqual([0, 1]);
    expect((await second.runs.get('r1')).record.attempts).toBe(2);
  });

  it('keeps the content that a pushed dataset has when the run is started, whatever its name stands for later', async () => {
    const { runs, artifacts, next } = await open('pinned');
    const name = (hash: string) =>
      writeManifest(artifacts, {
        kind: 'dataset',
        id: 'pets',
        producer: { program: 'spec', version: '1' },
        inputs: [],
        config: { set: hash.repeat(64) },
        seed: null,
        metrics: {},
        files: [],
      });
    const asking = (dataset: string, runId = 'r1'): RunSpecification => {
      const overrides = { train_db_name: dataset, val_db_name: dataset };
      return { ...specification(runId), experiment: readExperiment({ text, overrides }) };
    };
    await name('a');
    await runs.start(asking('artifact:pets'));
    await name('b');
    const { experiment } = (await next(1)).job.specification;
    const pinned = `artifact:pets@${'a'.repeat(16)}`;
    expect([experiment.train_db_name, experiment.val_db_name]).toEqual([pinned, pinned]);
    // A repeat is the same run, and so is one that names what it was pinned to; another content is not.
    for (const again of ['artifact:pets', pinned])
      expect((await runs.start(asking(again))).record.specification.experiment.train_db_name).toBe(pinned);
    for (const other of ['artifact:cats', `artifact:pets@${'b'.repeat(16)}`])
      await expect(runs.start(asking(other))).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    // What this store does not know may be known where the data is read.
    const unknown = await runs.start(asking('artifact:cats', 'r2'));
    expect(unknown.record.specification.experiment.train_db_name).toBe('artifact:cats');
  });

  it('uses the checkpoint before one that is cut short, and says so', async () => {
    const first = await open('cut');
    await first.runs.start(specification('r1'));
    const process = await first.next(1);
    for (const epoch of [1, 2, 3]) await first.epoch(process, epoch, 2);
    expect(await first.artifacts.describe(checkpointKey('r1', 10))).toBeNull();
    await truncate(join(folder, 'cut', checkpointKey('r1', 30)), 3);

    const second = await open('cut');
    const { job } = await second.next(1);
    expect(job.checkpoint?.checkpoint.key).toBe(checkpointKey('r1', 20));
    expect((await second.runs.get('r1')).notices[0]?.message).toContain(`${checkpointKey('r1', 30)} cannot be used`);
    expect((await second.runs.get('r1')).events.length).toBe(4);
  });

  it('says when a run goes on with settings that change its bits', async () => {
    const first = await open('settings', scriptedExecutor(), { intraOpThreads: 1, xla: false, tf32: true });
    await first.runs.start(specification('r1'));
    await first.epoch(await first.next(1), 1);
    const messages = async (tensorFlow: TensorFlowOptions): Promise<string[]> => {
      const { runs, next } = await open('settings', scriptedExecutor(), tensorFlow);
      await next(1);
      return (await runs.get('r1')).notices.map(({ message }) => message);
    };
    expect(await messages({ intraOpThreads: 1, xla: false, tf32: true })).toEqual([]);
    const [message = ''] = await messages({ intraOpThreads: 1, xla: true, tf32: false });
    expect(message).toContain('KINDRED_TRAINER_XLA: false, now true');
    expect(message).toContain('KINDRED_TRAINER_TF32: true, now false');
    expect(message).not.toContain('THREADS');
  });

  it('starts a lost training process again, but not for ever', async () => {
    const { runs, epoch, next, watchToEnd } = await open('lost');
    await runs.start(specification('r1'));
    await epoch(await next(1), 1);
    (await next(1)).end({ kind: 'lost', reason: 'signal SIGKILL' });
    for (const attempt of [2, 3, 4, 5]) (await next(attempt)).end({ kind: 'lost', reason: 'signal SIGKILL' });
    const { record, events } = await watchToEnd('r1');
    expect(record).toMatchObject({ state: 'failed', attempts: 5, failure: { code: 'INTERNAL' } });
    expect(events.at(-1)?.body.kind).toBe('ended');
  });

  it('cancels, resumes from the checkpoint, and ends', async () => {
    const { runs, epoch, next, watchToEnd } = await open('cancel');
    await runs.start(specification('r1'));
    await epoch(await next(1), 1);
    await runs.cancel('r1');
    expect((await watchToEnd('r1')).record.state).toBe('cancelled');
    await runs.resume('r1');
    const process = await next(2);
    expect(process.job.checkpoint?.checkpoint.key).toBe(checkpointKey('r1', 10));
    process.end({ kind: 'done', artifacts: ['runs/r1/model.safetensors'] });
    expect((await watchToEnd('r1')).record).toMatchObject({
      state: 'succeeded',
      artifacts: ['runs/r1/model.safetensors'],
    });
    await expect(runs.resume('r1')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await expect(runs.cancel('r1')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    const again = await open('cancel');
    expect((await again.runs.get('r1')).events.map(({ body }) => body.kind)).toEqual(['knn', 'checkpoint', 'ended']);
  });

  it('is idempotent by id, and refuses other content and too many', async () => {
    const { runs, next } = await open('start');
    const asked = specification('r1');
    await runs.start(asked);
    await next(1);
    expect((await runs.start({ ...asked, createTime: 'later' })).record.specification).toEqual(asked);
    await expect(runs.start(specification('r1', '0.1'))).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    await runs.start(specification('r2'));
    await expect(runs.start(specification('r3'))).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    await expect(runs.get('r9')).rejects.toThrow(expect.objectContaining({ code: 'NOT_FOUND' }) as Error);
    expect((await runs.cancel('r2')).record.state).toBe('cancelled');
  });

  it('keeps the last checkpoints and the best one', async () => {
    const { runs, artifacts, epoch, next } = await open('kept');
    await runs.start(specification('r1'));
    const process = await next(1);
    for (const number of [1, 2, 3, 4, 5]) await epoch(process, number, 2);
    const kept: string[] = [];
    for await (const { key } of artifacts.list('runs/r1/checkpoints/')) kept.push(key);
    expect(kept).toEqual([20, 40, 50].map((steps) => checkpointKey('r1', steps)));
  });

  it('is paused when there is no space, over a restart, until it is resumed', async () => {
    const first = await open('paused');
    await first.runs.start(specification('r1'));
    const process = await first.next(1);
    await first.epoch(process, 1);
    process.listener.onEvent(time, { kind: 'knn', epochsTrained: 2, top1: 0, seconds: 1 });
    const error = noSpace();
    process.end({ kind: 'failed', error, stepsCompleted: 17 });
    const { record, events } = await first.watchToEnd('r1');
    expect(record).toMatchObject({
      state: 'paused',
      failure: { code: 'RESOURCE_EXHAUSTED', stepsCompleted: 17, checkpoint: checkpointKey('r1', 10) },
    });
    expect(record.failure?.message).toContain('/data');
    expect(events.map(({ body }) => body.kind)).toEqual(['knn', 'checkpoint']);

    const second = await open('paused');
    expect((await second.watchToEnd('r1')).record.state).toBe('paused');
    await Promise.all([second.runs.resume('r1'), second.runs.resume('r1')]);
    const resumed = await second.next(1);
    expect(resumed.job.checkpoint?.checkpoint.key).toBe(checkpointKey('r1', 10));
    resumed.end({ kind: 'done', artifacts: [] });
    expect((await second.watchToEnd('r1')).record).toMatchObject({ state: 'succeeded', failure: null, attempts: 2 });
  });

  it('cancels a paused run once', async () => {
    const { runs, next, watchToEnd } = await open('paused-cancelled');
    await runs.start(specification('r1'));
    (await next(1)).end({ kind: 'failed', error: noSpace(), stepsCompleted: 0 });
    await watchToEnd('r1');
    await Promise.all([runs.cancel('r1'), runs.cancel('r1')]);
    expect((await runs.get('r1')).record.state).toBe('cancelled');
    expect((await runs.get('r1')).events.map(({ body }) => body.kind)).toEqual(['ended']);
  });

  it.each([{ resource: { type: 'dataset', name: 'cifar-10' } }, { retryAfterMs: 1000 }, {}])(
    'fails, and is not paused, when another limit is passed: %j',
    async (fields) => {
      const { runs, next, watchToEnd } = await open(`limit-${JSON.stringify(fields).length}`);
      await runs.start(specification('r1'));
      const error = new KindredError('RESOURCE_EXHAUSTED', 'too much', fields);
      (await next(1)).end({ kind: 'failed', error, stepsCompleted: 0 });
      const failure = { code: 'RESOURCE_EXHAUSTED', message: 'too much' };
      expect((await watchToEnd('r1')).record).toMatchObject({ state: 'failed', failure });
    },
  );

  it('names the step and the last good checkpoint of a run that failed', async () => {
    const { runs, epoch, next, watchToEnd } = await open('failed');
    await runs.start(specification('r1'));
    const process = await next(1);
    await epoch(process, 1);
    const error = new KindredError('FAILED_PRECONDITION', 'the loss is NaN in epoch 1, step 4 (step 14 of the run)');
    process.end({ kind: 'failed', error, stepsCompleted: 14 });
    const { record, events } = await watchToEnd('r1');
    const failure = { code: 'FAILED_PRECONDITION', stepsCompleted: 14, checkpoint: checkpointKey('r1', 10) };
    expect(record).toMatchObject({ state: 'failed', failure });
    expect(record.failure?.message).toContain(checkpointKey('r1', 10));
    expect(events.at(-1)?.body).toMatchObject({ kind: 'ended', failure });
  });

  it('starts in spite of damaged records, and says which', async () => {
    const first = await open('damaged');
    await first.runs.start(specification('r1'));
    const process = await first.next(1);
    for (const epoch of [1, 2]) await first.epoch(process, epoch);
    await first.artifacts.put('runs/r2/run.json', new TextEncoder().encode('{"specification":{"ru'));
    await truncate(join(folder, 'damaged', commitKey('r1', 20)), 40);

    const second = await open('damaged');
    expect((await second.next(1)).job.checkpoint?.checkpoint.key).toBe(checkpointKey('r1', 10));
    expect((await second.runs.get('r1')).notices[0]?.message).toContain(commitKey('r1', 20));
    expect((await second.runs.get('r1')).events.length).toBe(2);
    expect(await first.artifacts.describe(commitKey('r1', 20))).toBeNull();
    expect(second.runs.damaged).toMatchObject([{ runId: 'r2' }]);
    await expect(second.runs.get('r2')).rejects.toMatchObject({ code: 'DATA_LOSS' });
    await expect(second.runs.start(specification('r2'))).rejects.toMatchObject({ code: 'DATA_LOSS' });
  });
});

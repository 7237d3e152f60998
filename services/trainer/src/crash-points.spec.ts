// Every write of a run's life, one after the other: the service dies in it, or finds the disk full. The end is the same.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFolderStore, type ArtifactStore } from '@kindred/artifact-store';
import { KindredError, toKindredError } from '@kindred/errors';
import { readExperiment } from '@kindred/experiment';
import { createLogger } from '@kindred/service-runtime';
import { eventContent, temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import type { TrainingEnd, TrainingExecutor, TrainingListener } from './executor.js';
import { checkpointKey, runKey, type RunSpecification } from './run.js';
import { createRunQueue } from './run-queue.js';
import { createRunStore } from './run-store.js';
import { openRuns, type Runs } from './runs.js';
import type { TrainingJob } from './training-job.js';

const text = readFileSync(join(import.meta.dirname, '../../../configs/pretext/simclr_cifar10.yml'), 'utf8');
const specification: RunSpecification = {
  runId: 'r1',
  experiment: readExperiment({ text }),
  dataRoot: '',
  seed: '1',
  createTime: '2026-01-01T00:00:00.000Z',
};
const steps = 9;

/** What happens to the `at`th change of the store: before it, or after it was made but before anybody hears of it. */
interface Fault {
  readonly at: number;
  readonly kind: 'dies before' | 'dies after' | 'is full';
}

/** A store with a fault; after its death nothing that was asked of it ever returns. Counts the changes. */
function faultyStore(store: ArtifactStore, fault: Fault | null) {
  let changes = 0;
  let dead = false;
  let died: () => void = () => {};
  const death = new Promise<void>((resolve) => (died = resolve));
  const silence = new Promise<never>(() => {});
  const change = async <T>(what: () => Promise<T>, isWrite: boolean): Promise<T> => {
    if (dead) return silence;
    const here = changes++ === fault?.at ? fault.kind : null;
    if (here === 'is full' && isWrite) {
      throw new KindredError('RESOURCE_EXHAUSTED', 'no space left', { resource: { type: 'folder', name: '/data' } });
    }
    const result = here === 'dies before' ? silence : await what();
    if (here !== 'dies before' && here !== 'dies after') return dead ? silence : result;
    dead = true;
    died();
    return silence;
  };
  const faulty: ArtifactStore = {
    ...store,
    put: (key, content, options) => change(() => store.put(key, content, options), true),
    delete: (key) => change(() => store.delete(key), false),
  };
  return { store: faulty, death, changes: () => changes, isDead: () => dead };
}

/** A training process without training: each step an event, every second one a checkpoint, a model at the end. */
function sketchedExecutor(artifacts: ArtifactStore): TrainingExecutor {
  const train = async (job: TrainingJob, { onEvent, onCommit }: TrainingListener): Promise<TrainingEnd> => {
    const runId = job.specification.runId;
    const put = (key: string, state: string) => artifacts.put(key, new TextEncoder().encode(state));
    let stepsCompleted = job.checkpoint?.checkpoint.stepsCompleted ?? 0;
    try {
      for (; stepsCompleted < steps;) {
        stepsCompleted++;
        const time = new Date().toISOString();
        onEvent(time, { kind: 'knn', epochsTrained: stepsCompleted, top1: stepsCompleted, seconds: Math.random() });
        if (stepsCompleted % 2 !== 0 && stepsCompleted !== steps) continue;
        const key = checkpointKey(runId, stepsCompleted);
        const { sha256 } = await put(key, `state ${stepsCompleted}`);
        const best = stepsCompleted === 4;
        const checkpoint = { epochsCompleted: 0, stepsCompleted, key, sha256, knnTop1: null, best };
        onEvent(time, { kind: 'checkpoint', ...checkpoint });
        await onCommit({ checkpoint, elapsed: { seconds: 0, waitedSeconds: 0 } });
      }
      const model = runKey(runId, 'model.safetensors');
      await put(model, `model of ${stepsCompleted}`);
      return { kind: 'done', artifacts: [model] };
    } catch (thrown) {
      return { kind: 'failed', error: toKindredError(thrown), stepsCompleted };
    }
  };
  return { start: (job, listener) => ({ ended: train(job, listener), cancel: () => {}, kill: () => {} }) };
}

describe('a run whose service dies, or whose disk is full, at any of its writes', () => {
  const folder = temporaryFolder();

  const open = async (name: string, fault: Fault | null) => {
    const faulty = faultyStore(await createFolderStore(join(folder, name)), fault);
    const options = { store: createRunStore(faulty.store), logger: createLogger('trainer', 'silent') };
    const executor = sketchedExecutor(faulty.store);
    const queue = createRunQueue({ ...options, executor, tensorFlow: { intraOpThreads: 1 }, keepCheckpoints: 2 });
    const opening = openRuns({ ...options, queue, maxPendingRuns: 1 });
    return { ...faulty, opening };
  };
  const atRest = async (runs: Runs): Promise<string> => {
    for await (const _ of runs.watch('r1', 0, new AbortController().signal));
    return (await runs.get('r1')).record.state;
  };
  const outcome = async (name: string, runs: Runs) => {
    const store = await createFolderStore(join(folder, name));
    const files: Record<string, string> = {};
    for await (const { key } of store.list('runs/r1/')) {
      const isState = key.includes('/checkpoints/') || key.endsWith('.safetensors');
      files[key] = isState ? Buffer.from(await store.get(key)).toString() : '';
    }
    return {
      files,
      events: (await runs.get('r1')).events.map(eventContent),
      state: (await runs.get('r1')).record.state,
    };
  };

  it('ends with the same files and history', { timeout: 120_000 }, async () => {
    const calm = await open('calm', null);
    const calmRuns = await calm.opening;
    await calmRuns.start(specification);
    await atRest(calmRuns);
    // The last change, the deletion of the reserve, comes after the end has been announced.
    const expected = await outcome('calm', calmRuns);
    expect(expected.state).toBe('succeeded');
    expect(Object.keys(expected.files).filter((key) => key.includes('/checkpoints/'))).toEqual(
      [4, 8, 9].map((step) => checkpointKey('r1', step)),
    );
    expect(calm.changes()).toBeGreaterThan(15);

    for (const kind of ['dies before', 'dies after', 'is full'] as const) {
      for (let at = 0; at < calm.changes(); at++) {
        const name = `${kind}-${at}`.replace(' ', '-');
        const first = await open(name, { at, kind });
        const firstRuns = await first.opening;
        const started = firstRuns.start(specification).catch((thrown: unknown) => toKindredError(thrown));
        const answer = await Promise.race([started, first.death]);
        let runs = firstRuns;
        if (answer instanceof KindredError) {
          expect(answer.code, name).toBe('RESOURCE_EXHAUSTED');
          await runs.start(specification);
        } else if (kind === 'is full') {
          const state = await atRest(runs);
          if (state === 'paused') await runs.resume('r1');
          else expect(state, name).toBe('succeeded');
        } else {
          await Promise.race([first.death, atRest(runs)]);
          runs = await (await open(name, null)).opening;
          // Its caller never heard of it, so asks again.
          await runs.start(specification);
        }
        expect(await atRest(runs), name).toBe('succeeded');
        expect(await outcome(name, runs), name).toEqual(expected);
      }
    }
  });
});

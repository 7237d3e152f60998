// GPUs, quotas, priorities and queues: what a real scheduler does with the Jobs of runs. kwok plays the nodes: their pods are no
// processes, so that runs here never end by themselves.
import { join } from 'node:path';
import {
  controlPlanePrograms,
  defaultNodes,
  startControlPlane,
  until,
  type ControlPlane,
} from '@kindred/control-plane';
import { RunState } from '@kindred/protocol/training';
import { temporaryFolder } from '@kindred/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openScene, type Scene } from './kubernetes-scene.js';

const programs = await controlPlanePrograms();
const gpu = { accelerator: 'nvidia.com/gpu', acceleratorCount: 1 };
const slice = { accelerator: 'nvidia.com/mig-1g.10gb', acceleratorCount: 1 };
const { PENDING, RUNNING, CANCELLED, FAILED } = RunState;

describe.skipIf(programs === null)('scheduling of runs', () => {
  const folder = temporaryFolder('kindred-scheduling');
  let plane: ControlPlane;
  let scene: Scene;
  let started: string[] = [];

  beforeAll(async () => {
    if (programs === null) return;
    const mig = { name: 'mig-1', resources: { 'nvidia.com/mig-1g.10gb': '1' } };
    plane = await startControlPlane({ programs, nodes: [...defaultNodes, mig] });
    for (const [name, value] of Object.entries({ high: 1000, low: 10 })) {
      await plane.api.create('/apis/scheduling.k8s.io/v1/priorityclasses', { metadata: { name }, value });
    }
    scene = await openScene({
      plane,
      namespace: 'kindred',
      store: join(folder, 'store'),
      augmentationAddress: '127.0.0.1:1',
      environment: { KINDRED_TRAINER_MAX_PENDING_RUNS: '50' },
    });
  }, 240_000);
  afterEach(async () => {
    for (const runId of started) await scene.cancel(runId).catch(() => {});
    for (const runId of started) await scene.untilState(runId, [CANCELLED, FAILED]);
    started = [];
  });
  afterAll(async () => {
    await scene?.close();
    await plane?.close();
  });

  const start: Scene['start'] = (runId, options) => {
    started.push(runId);
    return scene.start(runId, options);
  };
  const states = async (runIds: readonly string[]): Promise<RunState[]> =>
    Promise.all(runIds.map(async (runId) => (await scene.run(runId)).state));
  const nodesOf = async (runId: string): Promise<string[]> =>
    (await scene.pods(runId))
      .filter(({ status }) => status.phase === 'Running')
      .map(({ spec }) => spec.nodeName as string);

  it('gives two GPUs to two of five runs; the others wait in order, and each end is a beginning', async () => {
    const runIds = ['r1', 'r2', 'r3', 'r4', 'r5'];
    for (const [place, runId] of runIds.entries()) {
      await start(runId, { resources: gpu });
      if (place < 2) await scene.untilState(runId, [RUNNING]);
      else expect(await scene.untilNotice(runId, 'waits')).toMatch(/Insufficient nvidia\.com\/gpu/);
    }
    expect(await states(runIds)).toEqual([RUNNING, RUNNING, PENDING, PENDING, PENDING]);
    expect([...(await nodesOf('r1')), ...(await nodesOf('r2'))].sort()).toEqual(['gpu-1', 'gpu-2']);
    await scene.cancel('r2');
    // The GPU is free before the trainer has heard that all of the run is gone.
    await scene.untilState('r2', [CANCELLED]);
    await scene.untilState('r3', [RUNNING]);
    expect(await states(runIds)).toEqual([RUNNING, CANCELLED, RUNNING, PENDING, PENDING]);
    await scene.cancel('r1');
    await scene.untilState('r1', [CANCELLED]);
    await scene.untilState('r4', [RUNNING]);
    expect(await states(runIds)).toEqual([CANCELLED, CANCELLED, RUNNING, RUNNING, PENDING]);
  });

  it('puts runs with GPUs on nodes with GPUs, slices on nodes with slices, and no other run there', async () => {
    await start('on-gpu', { resources: gpu });
    await start('on-slice', { resources: slice });
    const others = ['on-cpu-1', 'on-cpu-2', 'on-cpu-3', 'on-cpu-4'];
    for (const runId of others) await start(runId);
    for (const runId of started) await scene.untilState(runId, [RUNNING]);
    expect(await nodesOf('on-gpu')).toEqual([expect.stringMatching(/^gpu-/)]);
    expect(await nodesOf('on-slice')).toEqual(['mig-1']);
    for (const runId of others) expect(await nodesOf(runId)).toEqual(['cpu-1']);
  });

  it('takes a GPU from a run of low priority for one of high, and gives it back', async () => {
    for (const runId of ['low-1', 'low-2']) {
      await start(runId, { resources: { ...gpu, priorityClass: 'low' } });
      await scene.untilState(runId, [RUNNING]);
    }
    await start('high', { resources: { ...gpu, priorityClass: 'high' } });
    await scene.untilState('high', [RUNNING]);
    const isPreempted = async (): Promise<boolean> => (await states(['low-1', 'low-2'])).includes(PENDING);
    await until(isPreempted, 'a run of low priority waits');
    const victim = (await scene.run('low-1')).state === PENDING ? 'low-1' : 'low-2';
    expect(await scene.untilNotice(victim, 'ended by the cluster')).toContain('PreemptionByScheduler');
    // Being preempted is no failure.
    expect((await scene.job(victim)).status.failed ?? 0).toBe(0);
    await scene.cancel('high');
    expect(await scene.untilState(victim, [RUNNING])).toMatchObject({ attempts: 2 });
  });

  it('says that a quota refuses a run, and begins once it admits it', async () => {
    const quotas = `/api/v1/namespaces/${scene.namespace}/resourcequotas`;
    const hard = (count: string) => ({ spec: { hard: { 'requests.nvidia.com/gpu': count } } });
    await plane.api.create(quotas, { metadata: { name: 'gpus' }, ...hard('0') });
    await until(async () => (await plane.api.get(`${quotas}/gpus`)).status.hard !== undefined, 'the quota holds');
    await start('refused', { resources: gpu });
    expect(await scene.untilNotice('refused', 'waits')).toMatch(/exceeded quota: gpus/);
    expect(await scene.run('refused')).toMatchObject({ state: PENDING, failure: undefined });
    await plane.api.patch(`${quotas}/gpus`, hard('1'));
    await scene.untilState('refused', [RUNNING]);
    await plane.api.delete(`${quotas}/gpus`);
  });

  it('waits where a quota refuses the Job itself', async () => {
    const quotas = `/api/v1/namespaces/${scene.namespace}/resourcequotas`;
    const used = (await plane.api.get(`/apis/batch/v1/namespaces/${scene.namespace}/jobs`)).items.length as number;
    const hard = (count: number) => ({ spec: { hard: { 'count/jobs.batch': String(count) } } });
    await plane.api.create(quotas, { metadata: { name: 'jobs' }, ...hard(used) });
    await until(async () => (await plane.api.get(`${quotas}/jobs`)).status.used !== undefined, 'the quota holds');
    await start('too-many');
    expect(await scene.untilNotice('too-many', 'waits')).toMatch(/exceeded quota: jobs/);
    await plane.api.patch(`${quotas}/jobs`, hard(used + 1));
    await scene.untilState('too-many', [RUNNING]);
    await plane.api.delete(`${quotas}/jobs`);
  });

  it('leaves runs of a queue to Kueue', async () => {
    const queued = await openScene({
      plane,
      namespace: 'queued',
      store: join(folder, 'queued'),
      augmentationAddress: '127.0.0.1:1',
      environment: { KINDRED_TRAINER_QUEUE: 'team-a' },
    });
    try {
      await queued.start('held');
      expect(await queued.untilNotice('held', 'waits')).toContain('queue team-a');
      const job = await queued.job('held');
      expect(job.metadata.labels['kueue.x-k8s.io/queue-name']).toBe('team-a');
      expect(job.spec.suspend).toBe(true);
      // What Kueue does when it admits a Job.
      await plane.api.patch(`/apis/batch/v1/namespaces/queued/jobs/held`, { spec: { suspend: false } });
      await queued.untilState('held', [RUNNING]);
      await queued.cancel('held');
      await queued.untilState('held', [CANCELLED]);
    } finally {
      await queued.close();
    }
  });
});

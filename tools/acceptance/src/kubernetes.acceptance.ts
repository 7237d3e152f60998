// Runs as Jobs on a real control plane: real training processes in the place of containers, judged by the run of a local process.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  controlPlanePrograms,
  startControlPlane,
  startProcessNode,
  until,
  type ControlPlane,
  type ProcessNode,
} from '@kindred/control-plane';
import { PodEndReason, RunState } from '@kindred/protocol/training';
import { temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf, undisturbed, type RunOutcome } from './kubernetes-outcome.js';
import { openScene, trainerRules, type Scene } from './kubernetes-scene.js';
import { startRestartedService, type RestartedService } from './restarted-service.js';

const programs = await controlPlanePrograms();
const processes = { 'kindred.dev/processes': 'true' };

describe.skipIf(programs === null)('runs as Jobs', () => {
  const folder = temporaryFolder('kindred-kubernetes');
  let plane: ControlPlane;
  let augmentation: RestartedService;
  let scene: Scene;
  let nodes: ProcessNode[] = [];
  let expected: RunOutcome;

  beforeAll(async () => {
    if (programs === null) return;
    augmentation = await startRestartedService('data-augmentation', {});
    expected = await undisturbed(join(folder, 'undisturbed'), augmentation.address);
    plane = await startControlPlane({ programs, nodes: [] });
    for (const name of ['worker-1', 'worker-2']) {
      nodes.push(await startProcessNode(plane, { name, cpu: '2', labels: processes }));
    }
    const store = join(folder, 'cluster');
    const pod = { nodeSelector: processes };
    scene = await openScene({ plane, namespace: 'kindred', store, augmentationAddress: augmentation.address, pod });
  }, 240_000);
  afterAll(async () => {
    await scene?.close();
    await Promise.all(nodes.map((node) => node.close()));
    await plane?.close();
    await augmentation?.stop();
  });

  const folderOf = (runId: string, name: string): string => join(scene.store, 'runs', runId, name);
  const untilCommit = async (runId: string, count = 1): Promise<void> => {
    const commits = folderOf(runId, 'commits');
    await until(async () => existsSync(commits) && readdirSync(commits).length >= count, `run ${runId} has committed`);
  };
  const expectSame = async (runId: string): Promise<void> => {
    const found = outcomeOf(scene.store, runId, await scene.events(runId));
    expect(found.weights).toBe(expected.weights);
    expect(found.lastCheckpoint).toBe(expected.lastCheckpoint);
    expect(found.events).toEqual(expected.events);
  };
  const runningPod = async (runId: string): Promise<string> => {
    let name = '';
    const isRunning = async (): Promise<boolean> => {
      const pods = await scene.pods(runId);
      name = pods.find((pod) => pod.status.phase === 'Running')?.metadata.name ?? '';
      return name !== '';
    };
    await until(isRunning, `a pod of run ${runId} runs`);
    return name;
  };
  const mayCreateJobs = (answer: 'yes' | 'no'): Promise<void> => {
    const who = `--as=system:serviceaccount:${scene.namespace}:trainer`;
    const asked = ['auth', 'can-i', 'create', 'jobs', who, `--namespace=${scene.namespace}`];
    return until(async () => (await plane.kubectl(asked)).stdout.trim() === answer, `may create jobs: ${answer}`);
  };
  const nodeOf = async (runId: string, pod: string): Promise<ProcessNode> => {
    const found = (await scene.pods(runId)).find(({ metadata }) => metadata.name === pod);
    return nodes.find(({ name }) => name === found?.spec.nodeName) as ProcessNode;
  };

  it('starts one, shows its events, and ends with the bits of a local process', async () => {
    const started = await scene.start('plain', { resources: { cpuMillis: 1000, memoryBytes: 2n ** 30n } });
    expect(started.state).toBe(RunState.PENDING);
    await scene.untilState('plain', [RunState.RUNNING]);
    // Events come while it runs, not at its end.
    await until(async () => (await scene.run('plain')).eventCount > 3n, 'events are shown');
    expect((await scene.run('plain')).state).toBe(RunState.RUNNING);
    const ended = await scene.untilState('plain', [RunState.SUCCEEDED, RunState.FAILED]);
    expect(ended).toMatchObject({ state: RunState.SUCCEEDED, attempts: 1, model: 'plain' });
    await expectSame('plain');
    const job = await scene.job('plain');
    expect(job.metadata.labels).toMatchObject({
      'app.kubernetes.io/component': 'training-run',
      'kindred.dev/run': 'plain',
    });
    await until(async () => (await scene.job('plain')).status.succeeded === 1, 'the Job is complete');
    const [pod] = await scene.pods('plain');
    expect(pod.spec.containers[0].resources).toEqual({
      requests: { cpu: '1', memory: '1073741824' },
      limits: { cpu: '1', memory: '1073741824' },
    });
    // A repeat is the same run, other content is not.
    await scene.start('plain', { resources: { cpuMillis: 1000, memoryBytes: 2n ** 30n } });
    await expect(scene.start('plain')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  it('goes on in another pod after an eviction and after a kill for memory', async () => {
    await scene.start('evicted');
    await untilCommit('evicted', 2);
    const first = await runningPod('evicted');
    await plane.api.create(`/api/v1/namespaces/${scene.namespace}/pods/${first}/eviction`, {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name: first },
    });
    expect(await scene.untilNotice('evicted', first)).toContain('EvictionByEvictionAPI');
    await until(async () => (await scene.run('evicted')).attempts === 2, 'a second pod works');
    const second = await runningPod('evicted');
    await untilCommit('evicted', 6);
    (await nodeOf('evicted', second)).killForMemory(second);
    expect(await scene.untilState('evicted', [RunState.SUCCEEDED, RunState.FAILED])).toMatchObject({
      state: RunState.SUCCEEDED,
      attempts: 3,
    });
    await expectSame('evicted');
    // They are kept: another trainer tells of them, too, and of what each pod said last.
    await scene.trainer.kill();
    await scene.trainer.ready();
    await until(async () => (await scene.run('evicted').catch(() => null)) !== null, 'the trainer serves again');
    const { EVICTED, OUT_OF_MEMORY, COMPLETED } = PodEndReason;
    const ends = await scene.podEnds('evicted');
    expect(ends.map(({ pod, reason, exitCode }) => [pod, reason, exitCode])).toEqual([
      [first, EVICTED, 143],
      [second, OUT_OF_MEMORY, 137],
      [expect.any(String), COMPLETED, 0],
    ]);
    for (const { log, node } of ends) {
      expect(node).toMatch(/^worker-/);
      expect(log, node).not.toBe('');
      expect(readFileSync(join(scene.store, log), 'utf8')).toContain('"msg":"training"');
    }
    // To its last line, however soon the pod was gone.
    expect(readFileSync(join(scene.store, ends[0]!.log), 'utf8')).toContain('"msg":"told to stop"');
    expect((await scene.run('evicted')).podEnds).toEqual(ends);
    // Only the fault of its own counts against the Job.
    expect((await scene.job('evicted')).status.failed).toBe(1);
  });

  it('outlives the trainer, which takes it over again', async () => {
    await scene.start('adopted');
    await untilCommit('adopted', 2);
    const { uid } = (await scene.job('adopted')).metadata;
    await scene.trainer.kill();
    await scene.trainer.ready();
    await until(async () => (await scene.run('adopted').catch(() => null)) !== null, 'the trainer serves again');
    expect(await scene.untilState('adopted', [RunState.SUCCEEDED, RunState.FAILED])).toMatchObject({
      state: RunState.SUCCEEDED,
      attempts: 1,
    });
    expect((await scene.job('adopted')).metadata.uid).toBe(uid);
    expect(await scene.pods('adopted')).toHaveLength(1);
    await expectSame('adopted');
  });

  it('is cancelled with its processes, over a restart of the trainer, and resumed from its checkpoint', async () => {
    await scene.start('cancelled');
    await untilCommit('cancelled', 2);
    const pod = await runningPod('cancelled');
    const pid = (await nodeOf('cancelled', pod)).pid(pod) ?? 0;
    expect(isAlive(pid)).toBe(true);
    await scene.cancel('cancelled');
    await scene.trainer.kill();
    await scene.trainer.ready();
    await until(async () => (await scene.run('cancelled').catch(() => null)) !== null, 'the trainer serves again');
    expect(
      await scene.untilState('cancelled', [RunState.CANCELLED, RunState.SUCCEEDED, RunState.FAILED]),
    ).toMatchObject({
      state: RunState.CANCELLED,
    });
    expect(isAlive(pid)).toBe(false);
    await expect(scene.job('cancelled')).rejects.toMatchObject({ status: 404 });
    expect(await scene.pods('cancelled')).toEqual([]);
    const commits = readdirSync(folderOf('cancelled', 'commits')).length;
    await scene.resume('cancelled');
    await scene.untilState('cancelled', [RunState.SUCCEEDED, RunState.FAILED]);
    expect(readdirSync(folderOf('cancelled', 'commits')).length).toBeGreaterThan(commits);
    await expectSame('cancelled');
  });

  it('goes on while the API server is away for 60 s, and a run that is asked for meanwhile has its turn', async () => {
    await scene.start('away');
    await untilCommit('away');
    await plane.stopApiServer();
    const back = delay(60_000);
    try {
      expect((await scene.start('asked')).state).toBe(RunState.PENDING);
      expect(await scene.untilNotice('away', 'does not answer')).toContain('the run goes on');
      // Its events come by the store, and so does its end.
      expect(await scene.untilState('away', [RunState.SUCCEEDED, RunState.FAILED])).toMatchObject({ attempts: 1 });
      await back;
      expect((await scene.run('asked')).state).toBe(RunState.PENDING);
    } finally {
      await plane.startApiServer();
    }
    for (const runId of ['away', 'asked']) {
      expect(await scene.untilState(runId, [RunState.SUCCEEDED, RunState.FAILED])).toMatchObject({
        state: RunState.SUCCEEDED,
        attempts: 1,
      });
      await expectSame(runId);
    }
  });

  it('goes on on another node when its own is lost', async () => {
    await scene.start('lost');
    await untilCommit('lost', 2);
    const pod = await runningPod('lost');
    const node = await nodeOf('lost', pod);
    await node.lose();
    nodes = nodes.filter((one) => one !== node);
    expect(await scene.untilNotice('lost', pod)).toContain('DeletionByTaintManager');
    // What an operator or the cloud says once the machine is surely off: only then may another pod write.
    await plane.kubectl(['taint', 'node', node.name, 'node.kubernetes.io/out-of-service=nodeshutdown:NoExecute']);
    expect(await scene.untilState('lost', [RunState.SUCCEEDED, RunState.FAILED], 180_000)).toMatchObject({
      state: RunState.SUCCEEDED,
      attempts: 2,
    });
    const [end] = await scene.podEnds('lost');
    expect(end).toMatchObject({ pod, node: node.name, reason: PodEndReason.NODE_LOST });
    await expectSame('lost');
  });

  it('fails once by an error of its own, with that error', async () => {
    await scene.start('mistaken', { overrides: { batch_size: '65' } });
    const { failure } = await scene.untilState('mistaken', [RunState.FAILED]);
    expect(failure).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('batch_size') as string,
    });
    expect(await scene.pods('mistaken')).toHaveLength(1);
    const conditions = async (): Promise<{ type: string; reason: string }[]> =>
      (await scene.job('mistaken')).status.conditions ?? [];
    await until(async () => (await conditions()).some(({ type }) => type === 'Failed'), 'the Job has failed');
    expect((await conditions()).find(({ type }) => type === 'Failed')?.reason).toBe('PodFailurePolicy');
  });

  it('is refused with the verb that the Role lacks, and where a Job of that name is not its own', async () => {
    await scene.setRules(
      trainerRules.map((rule) =>
        rule.resources.includes('jobs') ? { ...rule, verbs: rule.verbs.filter((verb) => verb !== 'create') } : rule,
      ),
    );
    await mayCreateJobs('no');
    await scene.start('forbidden');
    const forbidden = await scene.untilState('forbidden', [RunState.FAILED]);
    expect(forbidden.failure?.code).toBe('PERMISSION_DENIED');
    expect(forbidden.failure?.message).toMatch(/cannot create resource "jobs".*Role/s);
    await scene.setRules(trainerRules);
    await mayCreateJobs('yes');

    await plane.api.create(`/apis/batch/v1/namespaces/${scene.namespace}/jobs`, {
      metadata: { name: 'foreign' },
      spec: { suspend: true, template: foreignTemplate },
    });
    await scene.start('foreign');
    const foreign = await scene.untilState('foreign', [RunState.FAILED]);
    expect(foreign.failure).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining("Job 'foreign'") as string,
    });
  });

  it('tells the exit code and the last words of a pod that had nothing stored', async () => {
    const template = join(folder, 'job.yaml');
    const script = 'console.error("no such device"); process.exit(3)';
    const container = { name: 'training', image: 'none', command: ['node', '-e', script], securityContext: restricted };
    const pod = { ...foreignTemplate.spec, nodeSelector: processes, containers: [container] };
    writeFileSync(template, JSON.stringify({ spec: { backoffLimit: 0, template: { spec: pod } } }));
    const other = await openScene({
      plane,
      namespace: 'other',
      store: join(folder, 'other'),
      augmentationAddress: augmentation.address,
      environment: { KINDRED_TRAINER_JOB_TEMPLATE: template },
    });
    try {
      await other.start('mute');
      const { failure } = await other.untilState('mute', [RunState.FAILED]);
      expect(failure?.message).toMatch(/BackoffLimitExceeded.*exit code 3.*no such device/s);
    } finally {
      await other.close();
    }
  });
});

const restricted = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
const foreignTemplate = {
  spec: {
    restartPolicy: 'Never',
    securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [{ name: 'other', image: 'none', securityContext: restricted }],
  },
};

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

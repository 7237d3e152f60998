import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFolderStore } from '@kindred/artifact-store';
import { notFound } from '@kindred/errors';
import { readExperiment } from '@kindred/experiment';
import type { JobClient, JobState, JobsListener, PodState } from '@kindred/kubernetes-jobs';
import { createLogger } from '@kindred/service-runtime';
import { temporaryFolder } from '@kindred/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { createJobQueue } from './job-queue.js';
import { createPodEnds, keptLogBytes, type PodEnd } from './pod-ends.js';
import { checkpointKey, type RunSpecification } from './run.js';
import { createRunEntry } from './run-entry.js';
import { createRunProgress } from './run-progress.js';
import { createRunStore } from './run-store.js';
import { openRuns, type Runs } from './runs.js';

const text = readFileSync(join(import.meta.dirname, '../../../configs/pretext/simclr_cifar10.yml'), 'utf8');
const specification = (runId: string): RunSpecification => ({
  runId,
  experiment: readExperiment({ text, overrides: {} }),
  dataRoot: '',
  seed: '1',
  createTime: new Date().toISOString(),
});
const template = { spec: { template: { spec: { containers: [{ name: 'training' }] } } } };

/** A cluster that says what the test says; Jobs are made as they are asked for. */
function scriptedCluster() {
  const jobs = new Map<string, JobState>();
  const pods = new Map<string, PodState>();
  const logs = new Map<string, string>();
  const listeners = new Set<JobsListener>();
  const tell = (say: (listener: JobsListener) => void): void => listeners.forEach(say);
  const client: JobClient = {
    namespace: 'n',
    async create(name, { metadata }) {
      const state = { annotations: {}, suspended: false, complete: false, failed: null, deleting: false };
      const job = { name, uid: `job-${name}`, labels: metadata?.labels ?? {}, ...state };
      jobs.set(name, job);
      tell(({ onJob }) => onJob(job));
      return job;
    },
    get: async (name) => jobs.get(name) ?? null,
    async delete({ name, uid }) {
      jobs.delete(name);
      tell(({ onJobGone }) => onJobGone(uid));
    },
    readTemplate: async () => template,
    async logTail(pod) {
      const log = logs.get(pod);
      if (log === undefined) throw notFound('pod', pod);
      if (log === 'busy') logs.set(pod, 'at the second try');
      if (log === 'busy') throw new Error('TLS handshake timeout');
      return log;
    },
    follow(_, listener) {
      listeners.add(listener);
      listener.onJobs([...jobs.values()]);
      listener.onPods([...pods.values()]);
      return { close: async () => void listeners.delete(listener) };
    },
  };
  const pod = (runId: string, name: string, change: Partial<PodState> = {}): void => {
    const before = pods.get(name);
    const usual: PodState = {
      ...{ name, uid: `uid-${name}`, jobUid: `job-${runId}`, labels: { 'kindred.dev/run': runId }, phase: 'Running' },
      ...{ node: 'node-1', createTime: new Date(pods.size).toISOString(), deleting: false },
      ...{ waits: null, disruption: null, exit: null },
    };
    const now = { ...usual, ...before, ...change };
    pods.set(name, now);
    tell(({ onPod }) => onPod(now));
  };
  return { client, jobs, pod, logs, reads: () => listeners.size };
}

describe('runs as Jobs', () => {
  const folder = temporaryFolder();
  const open: Runs[] = [];
  afterEach(async () => {
    for (const runs of open.splice(0)) await runs.close();
  });

  const start = async (name: string, cluster: ReturnType<typeof scriptedCluster>, pollMs = 10) => {
    const artifacts = await createFolderStore(join(folder, name));
    const store = createRunStore(artifacts);
    const progress = createRunProgress(artifacts);
    const podEnds = createPodEnds(artifacts);
    const options = { store, logger: createLogger('trainer', 'silent') };
    const reads: string[] = [];
    const counted = {
      ...progress,
      readLive(runId: string) {
        reads.push(runId);
        return progress.readLive(runId);
      },
    };
    const queue = createJobQueue({
      ...options,
      ...{ client: cluster.client, progress: counted, podEnds, pollMs, queue: null, turn: { isOurs: true } },
      ...{ jobTemplate: '/t', tensorFlow: { intraOpThreads: 1 } },
      settings: { keepCheckpoints: 2, dataRetryMs: 1, storeRetryMs: 1 },
    });
    const runs = await openRuns({ ...options, queue, maxPendingRuns: 100 });
    open.push(runs);
    const commit = async (runId: string, steps: number) => {
      const time = new Date().toISOString();
      const entry = createRunEntry(await store.load(runId));
      const key = checkpointKey(runId, steps);
      const { sha256 } = await artifacts.put(key, new TextEncoder().encode(`${steps}`));
      const checkpoint = { epochsCompleted: 0, stepsCompleted: steps, key, sha256, knnTop1: null, best: false };
      const number = entry.log.events.length;
      const events = [{ number, time, body: { kind: 'checkpoint' as const, ...checkpoint } }];
      await store.saveCommit(runId, { checkpoint, elapsed: { seconds: 0, waitedSeconds: 0 }, events });
      const live = { job: `job-${runId}`, pod: 'uid-p', events: [], notices: [], noticeCount: 0 };
      await progress.writeLive(runId, { ...live, committedEvents: number + 1 });
    };
    return { runs, artifacts, podEnds, commit, reads };
  };
  const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
    while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const fault = (time = new Date().toISOString()): Partial<PodState> => ({
    phase: 'Failed',
    exit: { code: 1, reason: 'Error', time },
  });
  const endsOf = async (runs: Runs, runId: string): Promise<readonly PodEnd[]> => (await runs.get(runId)).podEnds;

  it('keep how each pod ended and what it said last, with the end of a log that is gone with its pod', async () => {
    const cluster = scriptedCluster();
    const { runs, artifacts, podEnds } = await start('ends', cluster);
    await runs.start(specification('r'));
    await until(() => cluster.jobs.has('r'));
    cluster.logs.set('p1', 'on the way out');
    const disruption = { reason: 'PreemptionByScheduler', message: 'for another' };
    cluster.pod('r', 'p1', { deleting: true, disruption });
    await until(async () => (await runs.get('r')).notices.length > 0);
    // All is well, says the API server, and gives nothing.
    cluster.logs.set('p1', '');
    cluster.pod('r', 'p1', { phase: 'Failed', exit: { code: 143, reason: 'Error', time: null } });
    await until(async () => (await endsOf(runs, 'r')).length === 1);
    cluster.logs.set('p2', `${'x'.repeat(2 * keptLogBytes)}the end`);
    cluster.pod('r', 'p2', { phase: 'Failed', exit: { code: 137, reason: 'OOMKilled', time: null } });
    await until(async () => (await endsOf(runs, 'r')).length === 2);
    cluster.pod('r', 'p3', { phase: 'Failed', node: null });
    await until(async () => (await endsOf(runs, 'r')).length === 3);
    // Nothing is left of it when the trainer asks, but it has stored what it said.
    await podEnds.leaveWords('r', 'uid-p4', new TextEncoder().encode('left behind'));
    cluster.pod('r', 'p4', { phase: 'Failed', exit: { code: 143, reason: 'Error', time: null } });
    await until(async () => (await endsOf(runs, 'r')).length === 4);
    cluster.logs.set('p5', 'busy');
    cluster.pod('r', 'p5', { phase: 'Failed', exit: { code: 137, reason: 'OOMKilled', time: null } });
    await until(async () => (await endsOf(runs, 'r')).length === 5);
    const ends = await podEnds.list('r');
    expect(ends).toEqual(await endsOf(runs, 'r'));
    expect(ends).toMatchObject([
      { number: 0, pod: 'p1', node: 'node-1', reason: 'preempted', exitCode: 143 },
      { number: 1, pod: 'p2', reason: 'out-of-memory', exitCode: 137 },
      { number: 2, pod: 'p3', node: '', reason: 'deleted', exitCode: null, log: '' },
      { number: 3, pod: 'p4', reason: 'exited', exitCode: 143 },
      { number: 4, pod: 'p5', reason: 'out-of-memory', exitCode: 137 },
    ]);
    const logOf = async ({ log = '' }: Partial<PodEnd> = {}): Promise<string> =>
      new TextDecoder().decode(await artifacts.get(log));
    expect(await logOf(ends[0])).toBe('on the way out');
    const second = await logOf(ends[1]);
    expect(await logOf(ends[3])).toBe('left behind');
    expect(await logOf(ends[4])).toBe('at the second try');
    expect(await podEnds.wordsOf('r', 'uid-p4')).toBeNull();
    expect([second.length, second.endsWith('xthe end')]).toEqual([keptLogBytes, true]);

    // Another trainer tells the same, each once.
    await runs.close();
    const { runs: later } = await start('ends', cluster);
    await until(async () => (await endsOf(later, 'r')).length === 5);
    const told: string[] = [];
    const stop = new AbortController();
    for await (const watched of later.watch('r', 0, stop.signal)) {
      if ('podEnd' in watched) told.push(watched.podEnd.pod);
      if (told.length === 5) stop.abort();
    }
    expect(told).toEqual(['p1', 'p2', 'p3', 'p4', 'p5']);
  });

  it('fail after five faults in a row without a checkpoint, however many there were before', async () => {
    const cluster = scriptedCluster();
    const { runs, commit } = await start('faults', cluster);
    await runs.start(specification('r'));
    await until(() => cluster.jobs.has('r'));
    let pods = 0;
    const fail = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        cluster.pod('r', `p${++pods}`, fault());
        await until(
          async () => (await endsOf(runs, 'r')).length === pods || (await runs.get('r')).record.state === 'failed',
        );
      }
    };
    for (const steps of [10, 20, 30]) {
      await fail(4);
      await new Promise((resolve) => setTimeout(resolve, 5));
      await commit('r', steps);
      await until(async () =>
        (await runs.get('r')).events.some(({ body }) => 'stepsCompleted' in body && body.stepsCompleted === steps),
      );
      // The next fault is after the checkpoint by the clock, too.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect((await runs.get('r')).record.state).not.toBe('failed');
    cluster.pod('r', 'preempted', { ...fault(), disruption: { reason: 'PreemptionByScheduler', message: '' } });
    pods++;
    await fail(5);
    await until(async () => (await runs.get('r')).record.state === 'failed');
    expect((await runs.get('r')).record.failure).toMatchObject({
      code: 'INTERNAL',
      message: expect.stringMatching(/^5 pods .*exit code 1.*checkpoints\/000000000030/s) as string,
    });
    expect(cluster.jobs.has('r')).toBe(false);
  });

  it('are looked at when something of their own has changed, not when another run has', async () => {
    const cluster = scriptedCluster();
    const { runs, reads } = await start('woken', cluster, 60_000);
    const runIds = Array.from({ length: 20 }, (_, i) => `r${i}`);
    for (const runId of runIds) await runs.start(specification(runId));
    const settled = async (): Promise<void> => {
      for (let before = -1; before !== reads.length;) {
        before = reads.length;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    };
    await until(() => cluster.jobs.size === runIds.length);
    await settled();
    reads.length = 0;
    cluster.pod('r7', 'p');
    await until(async () => (await runs.get('r7')).record.state === 'running');
    await settled();
    expect(new Set(reads)).toEqual(new Set(['r7']));
  });
});

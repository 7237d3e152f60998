// What the cluster says of runs' Jobs and pods, kept up to date by watches; whoever attends to a run is woken by a change of that run.
import type { KindredError } from '@kindred/errors';
import type { JobClient, JobState, JobWarning, PodState } from '@kindred/kubernetes-jobs';
import { runLabel, runLabels } from './job-manifest.js';

/** The Jobs and pods of runs as they were heard of last. */
export interface ClusterView {
  /** Whether all that there are have been heard of. */
  readonly isWhole: boolean;
  /** Why the API is not heard of now; null: it is. */
  readonly trouble: KindredError | null;
  /** Null: there is none. */
  jobNamed(name: string): JobState | null;
  /** Oldest first; also those that have gone, as failed, while their run is attended to. */
  podsOf(jobUid: string): readonly PodState[];
  /** The latest warning about a Job, e.g. that a quota refuses its pods; null: none. */
  warningOf(jobUid: string): string | null;
  /** Takes a Job that was just made or read, before the watch tells of it. */
  take(job: JobState): void;
  /** Calls `wake` after each change of the run, or of what is known of all, until the function that it returns is called. */
  attend(runId: string, wake: () => void): () => void;
  close(): Promise<void>;
}

/** Begins to follow the Jobs and pods of runs, and warnings about Jobs. */
export function openClusterView(client: Pick<JobClient, 'follow'>): ClusterView {
  const jobs = new Map<string, JobState>();
  const uids = new Map<string, string>();
  const pods = new Map<string, Map<string, PodState>>();
  const warnings = new Map<string, JobWarning>();
  const attending = new Map<string, Set<() => void>>();
  const whole = { jobs: false, pods: false };
  let trouble: KindredError | null = null;
  const wake = (runId: string): void => {
    for (const listener of [...(attending.get(runId) ?? [])]) listener();
  };
  const wakeAll = (): void => {
    for (const runId of [...attending.keys()]) wake(runId);
  };
  const putJob = (job: JobState): void => {
    jobs.set(job.uid, job);
    uids.set(job.name, job.uid);
  };
  const putPod = (pod: PodState): void => {
    const own = pods.get(pod.jobUid) ?? new Map<string, PodState>();
    pods.set(pod.jobUid, own.set(pod.uid, pod));
  };
  const isAttended = (runId: string | undefined): boolean => runId !== undefined && attending.has(runId);
  /** As it is when it has gone: that it has ended, and how, may not have been read yet. */
  const gone = (pod: PodState): PodState => ({
    ...pod,
    phase: pod.phase === 'Succeeded' ? pod.phase : 'Failed',
    deleting: true,
  });
  const forgetPods = (jobUid: string): void => {
    const [first] = pods.get(jobUid)?.values() ?? [];
    if (!isAttended(first?.labels[runLabel])) pods.delete(jobUid);
  };
  const selector = Object.entries(runLabels).map((pair) => pair.join('='));
  const follower = client.follow(selector.join(','), {
    onJob(job) {
      putJob(job);
      wake(job.name);
    },
    onPod(pod) {
      putPod(pod);
      wake(pod.labels[runLabel] ?? '');
    },
    onJobGone(uid) {
      const job = jobs.get(uid);
      jobs.delete(uid);
      if (job === undefined) return;
      if (uids.get(job.name) === uid) uids.delete(job.name);
      for (const pod of pods.get(uid)?.values() ?? []) putPod(gone(pod));
      forgetPods(uid);
      wake(job.name);
    },
    onPodGone(pod) {
      const runId = pod.labels[runLabel] ?? '';
      if (isAttended(runId)) putPod(gone(pod));
      else pods.get(pod.jobUid)?.delete(pod.uid);
      wake(runId);
    },
    onJobs(all) {
      whole.jobs = true;
      jobs.clear();
      uids.clear();
      for (const job of all) putJob(job);
      wakeAll();
    },
    onPods(all) {
      whole.pods = true;
      const there = new Set(all.map(({ uid }) => uid));
      // Those that went while nobody was told: of attended runs they are kept as gone.
      for (const [jobUid, own] of [...pods]) {
        for (const pod of [...own.values()]) {
          if (there.has(pod.uid)) continue;
          if (isAttended(pod.labels[runLabel])) putPod(gone(pod));
          else own.delete(pod.uid);
        }
        if (own.size === 0) pods.delete(jobUid);
      }
      for (const pod of all) putPod(pod);
      wakeAll();
    },
    onWarnings(all) {
      warnings.clear();
      for (const warning of all) warnings.set(warning.uid, warning);
      for (const { name } of all) wake(name);
    },
    onWarning(warning) {
      warnings.set(warning.uid, warning);
      wake(warning.name);
    },
    onWarningGone({ id, uid }) {
      if (warnings.get(uid)?.id === id) warnings.delete(uid);
    },
    onTrouble(error) {
      trouble = error;
      wakeAll();
    },
  });
  return {
    get isWhole() {
      return whole.jobs && whole.pods;
    },
    get trouble() {
      return trouble;
    },
    jobNamed: (name) => jobs.get(uids.get(name) ?? '') ?? null,
    podsOf: (jobUid) =>
      [...(pods.get(jobUid)?.values() ?? [])].sort((a, b) =>
        a.createTime < b.createTime ? -1 : a.createTime > b.createTime ? 1 : 0,
      ),
    warningOf: (jobUid) => warnings.get(jobUid)?.words ?? null,
    // What the watch has told of it already is newer.
    take(job) {
      if (!jobs.has(job.uid)) putJob(job);
    },
    attend(runId, listener) {
      const own = attending.get(runId) ?? new Set();
      attending.set(runId, own.add(listener));
      return () => {
        own.delete(listener);
        if (own.size > 0) return;
        attending.delete(runId);
        for (const [jobUid, all] of [...pods]) {
          const [first] = all.values();
          if (first?.labels[runLabel] === runId && !jobs.has(jobUid)) pods.delete(jobUid);
        }
      };
    },
    close: () => follower.close(),
  };
}

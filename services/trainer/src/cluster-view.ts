// What the cluster says of runs' Jobs and pods, kept up to date by a watch; whoever waits for a run is woken by a change.
import type { KindredError } from '@kindred/errors';
import type { JobClient, JobState, PodState } from '@kindred/kubernetes-jobs';
import { runLabels } from './job-manifest.js';

/** The Jobs and pods of runs as they were heard of last. */
export interface ClusterView {
  /** Whether all that there are have been heard of. */
  readonly isWhole: boolean;
  /** Why the API is not heard of now; null: it is. */
  readonly trouble: KindredError | null;
  /** Null: there is none. */
  jobNamed(name: string): JobState | null;
  /** Oldest first; also those that have gone, as failed. */
  podsOf(jobUid: string): readonly PodState[];
  /** Takes a Job that was just made or read, before the watch tells of it. */
  take(job: JobState): void;
  /** Calls back after each change, until the function that it returns is called. */
  onChange(listener: () => void): () => void;
  close(): Promise<void>;
}

/** Begins to follow the Jobs and pods of runs. */
export function openClusterView(client: Pick<JobClient, 'follow'>): ClusterView {
  const jobs = new Map<string, JobState>();
  const pods = new Map<string, PodState>();
  const listeners = new Set<() => void>();
  const whole = { jobs: false, pods: false };
  let trouble: KindredError | null = null;
  const changed = (): void => {
    for (const listener of [...listeners]) listener();
  };
  const replace = <T extends { readonly uid: string }>(map: Map<string, T>, all: readonly T[]): void => {
    map.clear();
    for (const one of all) map.set(one.uid, one);
    changed();
  };
  const put = <T extends { readonly uid: string }>(map: Map<string, T>, one: T): void => {
    map.set(one.uid, one);
    changed();
  };
  const selector = Object.entries(runLabels).map((pair) => pair.join('='));
  const follower = client.follow(selector.join(','), {
    onJob: (job) => put(jobs, job),
    onPod: (pod) => put(pods, pod),
    onJobGone(uid) {
      for (const pod of [...pods.values()]) if (pod.jobUid === uid) pods.delete(pod.uid);
      jobs.delete(uid);
      changed();
    },
    // It stays with its Job: that it has ended, and how, may not have been read yet.
    onPodGone: (pod) => put(pods, { ...pod, phase: pod.phase === 'Succeeded' ? pod.phase : 'Failed', deleting: true }),
    onJobs(all) {
      whole.jobs = true;
      replace(jobs, all);
    },
    onPods(all) {
      whole.pods = true;
      replace(pods, all);
    },
    onTrouble(error) {
      trouble = error;
      changed();
    },
  });
  return {
    get isWhole() {
      return whole.jobs && whole.pods;
    },
    get trouble() {
      return trouble;
    },
    jobNamed: (name) => [...jobs.values()].find((job) => job.name === name) ?? null,
    podsOf: (jobUid) =>
      [...pods.values()]
        .filter((pod) => pod.jobUid === jobUid)
        .sort((a, b) => (a.createTime < b.createTime ? -1 : a.createTime > b.createTime ? 1 : 0)),
    // What the watch has told of it already is newer.
    take(job) {
      if (!jobs.has(job.uid)) put(jobs, job);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => follower.close(),
  };
}

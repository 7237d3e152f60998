// The calls on Jobs, their pods, logs and events that a namespace's Role allows.
import { BatchV1Api, CoreV1Api, Watch, loadYaml, type V1Job } from '@kubernetes/client-node';
import { readFile } from 'node:fs/promises';
import { KindredError } from '@kindred/errors';
import { connectApi, orNull, type ApiOptions } from './api-calls.js';
import { followList, type ListFollower } from './list-follower.js';
import { jobStateOf, podStateOf, type JobManifest, type JobState, type PodState } from './job-state.js';

/** What a watcher of the Jobs with some labels is told. */
export interface JobsListener {
  /** A Job or pod is new or has changed. */
  onJob(job: JobState): void;
  onPod(pod: PodState): void;
  onJobGone(uid: string): void;
  /** As it was last. */
  onPodGone(pod: PodState): void;
  /** All Jobs, or all pods, that there are now; others are gone. Comes first, and again when changes were missed. */
  onJobs(jobs: readonly JobState[]): void;
  onPods(pods: readonly PodState[]): void;
  /** The API does not answer, or refuses: it is tried again. Null: all is well again. */
  onTrouble(error: KindredError | null): void;
}

/** Jobs of one namespace. Every call may reject with UNAVAILABLE, PERMISSION_DENIED or UNAUTHENTICATED. */
export interface JobClient {
  readonly namespace: string;
  /** @throws KindredError ALREADY_EXISTS; RESOURCE_EXHAUSTED when a quota refuses it; INVALID_ARGUMENT when the API does */
  create(name: string, manifest: JobManifest): Promise<JobState>;
  /** Null: there is none. */
  get(name: string): Promise<JobState | null>;
  /** Deletes a Job after its pods, each with its grace; does nothing when it is gone or another with that name is there. */
  delete(job: Pick<JobState, 'name' | 'uid'>): Promise<void>;
  /** The template in `spec.jobTemplate` of the CronJob `cronjob/NAME`, or the Job in a YAML file `/PATH`. */
  readTemplate(location: string): Promise<JobManifest>;
  /** The last `lines` lines that a pod said. */
  logTail(pod: string, lines: number): Promise<string>;
  /** The latest warning about a Job, e.g. that a quota refuses its pods; null: none. */
  lastWarning(job: Pick<JobState, 'name' | 'uid'>): Promise<string | null>;
  /** Follows Jobs and pods with these labels until it is closed, whatever happens to the API server. */
  follow(labelSelector: string, listener: JobsListener): ListFollower;
}

/** Makes a client. */
export function createJobClient(options: ApiOptions): JobClient {
  const { namespace } = options;
  const { config, call } = connectApi(options);
  const batch = config.makeApiClient(BatchV1Api);
  const core = config.makeApiClient(CoreV1Api);
  const watch = new Watch(config);
  return {
    namespace,
    async create(name, { metadata, spec }) {
      const body = {
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: { ...metadata, name },
        spec: spec as V1Job['spec'],
      } as V1Job;
      return jobStateOf(await call(`create job ${name}`, () => batch.createNamespacedJob({ namespace, body })));
    },
    async get(name) {
      const job = await orNull(() => call(`get job ${name}`, () => batch.readNamespacedJob({ namespace, name })));
      return job === null ? null : jobStateOf(job);
    },
    async delete({ name, uid }) {
      const body = { propagationPolicy: 'Foreground', preconditions: { uid } };
      try {
        await orNull(() => call(`delete job ${name}`, () => batch.deleteNamespacedJob({ namespace, name, body })));
      } catch (thrown) {
        // The precondition does not hold: it is another Job.
        if (!(thrown instanceof KindredError) || thrown.code !== 'ALREADY_EXISTS') throw thrown;
      }
    },
    async readTemplate(location) {
      if (location.startsWith('/')) return manifestOf(loadYaml(await readFile(location, 'utf8')), location);
      const name = location.replace(/^cronjob\//, '');
      const found = await call(`get cronjob ${name}`, () => batch.readNamespacedCronJob({ namespace, name }));
      return manifestOf(found.spec?.jobTemplate, location);
    },
    logTail: (pod, tailLines) =>
      call(`read the log of pod ${pod}`, () => core.readNamespacedPodLog({ namespace, name: pod, tailLines })),
    async lastWarning({ name, uid }) {
      const fieldSelector = `involvedObject.uid=${uid},type=Warning`;
      const { items } = await call(`list events of job ${name}`, () =>
        core.listNamespacedEvent({ namespace, fieldSelector }),
      );
      const time = ({ lastTimestamp, eventTime }: (typeof items)[number]): number =>
        new Date(lastTimestamp ?? eventTime ?? 0).getTime();
      const last = items.sort((a, b) => time(a) - time(b)).at(-1);
      return last === undefined ? null : `${last.reason ?? ''}: ${last.message ?? ''}`;
    },
    follow(labelSelector, listener) {
      const troubles = new Map<string, KindredError>();
      const trouble = (kind: string) => (error: KindredError | null) => {
        const before = troubles.size;
        if (error === null) troubles.delete(kind);
        else troubles.set(kind, error);
        if (error !== null || (before > 0 && troubles.size === 0)) listener.onTrouble(error);
      };
      const jobs = followList({
        watch,
        path: `/apis/batch/v1/namespaces/${namespace}/jobs`,
        labelSelector,
        list: () => call('list jobs', () => batch.listNamespacedJob({ namespace, labelSelector })),
        onAll: (all) => listener.onJobs(all.map(jobStateOf)),
        onChange: (job) => listener.onJob(jobStateOf(job)),
        onGone: (job) => listener.onJobGone(job.metadata?.uid ?? ''),
        onTrouble: trouble('jobs'),
      });
      const pods = followList({
        watch,
        path: `/api/v1/namespaces/${namespace}/pods`,
        labelSelector,
        list: () => call('list pods', () => core.listNamespacedPod({ namespace, labelSelector })),
        onAll: (all) => listener.onPods(all.map(podStateOf)),
        onChange: (pod) => listener.onPod(podStateOf(pod)),
        onGone: (pod) => listener.onPodGone(podStateOf(pod)),
        onTrouble: trouble('pods'),
      });
      return {
        async close() {
          await Promise.all([jobs.close(), pods.close()]);
        },
      };
    },
  };
}

function manifestOf(found: unknown, location: string): JobManifest {
  const { spec } = (found ?? {}) as { spec?: { template?: { spec?: { containers?: unknown } } } };
  if (Array.isArray(spec?.template?.spec?.containers)) return JSON.parse(JSON.stringify(found)) as JobManifest;
  throw new KindredError(
    'FAILED_PRECONDITION',
    `job template ${location}: got no spec.template.spec.containers; allowed: cronjob/NAME with a jobTemplate, or a YAML file with a Job`,
  );
}

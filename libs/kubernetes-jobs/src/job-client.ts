// The calls on Jobs, their pods, logs and events that a namespace's Role allows.
import { BatchV1Api, CoreV1Api, Watch, loadYaml, type CoreV1Event, type V1Job } from '@kubernetes/client-node';
import { readFile } from 'node:fs/promises';
import { KindredError } from '@kindred/errors';
import { connectApi, orNull, type ApiOptions } from './api-calls.js';
import { followList, type ListFollower } from './list-follower.js';
import { jobStateOf, podStateOf, type JobManifest, type JobState, type PodState } from './job-state.js';

/** A warning of the cluster's about a Job. */
export interface JobWarning {
  /** Its own uid. */
  readonly id: string;
  /** Uid and name of the Job. */
  readonly uid: string;
  readonly name: string;
  readonly words: string;
}

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
  /** A warning about a Job, e.g. that a quota refuses its pods; the latest of those that the cluster still keeps. */
  onWarning(warning: JobWarning): void;
  onWarningGone(warning: JobWarning): void;
  /** All that there are now, the latest of each Job last. */
  onWarnings(warnings: readonly JobWarning[]): void;
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
  /** The last that a pod said, about `bytes` bytes of whole lines. */
  logTail(pod: string, bytes: number): Promise<string>;
  /** Follows Jobs and pods with these labels, and warnings about all Jobs of the namespace, until it is closed, whatever happens to the API server. */
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
    async logTail(pod, bytes) {
      let log = '';
      for (const tailLines of tails) {
        const limitBytes = tailLines * maxLineBytes;
        log = await call(`read the log of pod ${pod}`, () =>
          core.readNamespacedPodLog({ namespace, name: pod, tailLines, limitBytes: Math.min(limitBytes, maxLogBytes) }),
        );
        // Cut by the limit, what is missing is the end: fewer lines have it.
        if (Buffer.byteLength(log) < maxLogBytes) break;
      }
      if (log.length <= bytes) return log;
      const end = log.slice(-bytes);
      return end.slice(end.indexOf('\n') + 1);
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
      const fieldSelector = 'involvedObject.kind=Job,type=Warning';
      // Why a run waits is worth less than that it goes on: a trouble with these is none of the runs'.
      const warnings = followList({
        watch,
        path: `/api/v1/namespaces/${namespace}/events`,
        fieldSelector,
        list: () => call('list events', () => core.listNamespacedEvent({ namespace, fieldSelector })),
        onAll: (all) => listener.onWarnings([...all].sort((a, b) => timeOf(a) - timeOf(b)).map(warningOf)),
        onChange: (event) => listener.onWarning(warningOf(event)),
        onGone: (event) => listener.onWarningGone(warningOf(event)),
        onTrouble: () => {},
      });
      return {
        async close() {
          await Promise.all([jobs.close(), pods.close(), warnings.close()]);
        },
      };
    },
  };
}

/** Lines of a log that are asked for, and how long one may be: runtimes cut lines at 16 KiB. */
const tails = [1000, 50] as const;
const maxLineBytes = 17_000;
/** Bytes of a log that are read at most. */
const maxLogBytes = 1_000_000;

function warningOf({ metadata, involvedObject, reason = '', message = '' }: CoreV1Event): JobWarning {
  const { uid = '', name = '' } = involvedObject;
  return { id: metadata.uid ?? '', uid, name, words: `${reason}: ${message}` };
}

function timeOf({ lastTimestamp, eventTime }: CoreV1Event): number {
  return new Date(lastTimestamp ?? eventTime ?? 0).getTime();
}

function manifestOf(found: unknown, location: string): JobManifest {
  const { spec } = (found ?? {}) as { spec?: { template?: { spec?: { containers?: unknown } } } };
  if (Array.isArray(spec?.template?.spec?.containers)) return JSON.parse(JSON.stringify(found)) as JobManifest;
  throw new KindredError(
    'FAILED_PRECONDITION',
    `job template ${location}: got no spec.template.spec.containers; allowed: cronjob/NAME with a jobTemplate, or a YAML file with a Job`,
  );
}

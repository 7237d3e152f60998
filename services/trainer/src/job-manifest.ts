// The Job of a run: the platform's template with what the run asks for.
import { createHash } from 'node:crypto';
import { KindredError } from '@kindred/errors';
import type { JobManifest, JobState } from '@kindred/kubernetes-jobs';
import type { TensorFlowOptions } from '@kindred/tensorflow-native';
import { trainingExit } from './exit-codes.js';
import type { RunSpecification } from './run.js';
import type { TrainingRunConfig } from './config.js';
import { contentOf } from './run-entry.js';
import { namesAccelerator, noAccelerator, noResources } from './run-resources.js';

/** Labels of all Jobs of runs and of their pods. */
export const runLabels = {
  'app.kubernetes.io/part-of': 'kindred',
  'app.kubernetes.io/component': 'training-run',
} as const;

/** Label with the run's id. */
export const runLabel = 'kindred.dev/run';
const contentLabel = 'kindred.dev/content';
const queueLabel = 'kueue.x-k8s.io/queue-name';
const containerName = 'training';
/** Of the names of NVIDIA's resources, taints and labels. */
const nvidia = 'nvidia.com/';

/**
 * Pods that end by a fault of their own, over the whole life of a Job. Only a stop for a trainer that is away for days: it itself counts
 * those in a row without a checkpoint, which batch/v1 cannot.
 */
const backoffLimit = 1000;
/** How long an ended Job stays to be looked at: a day. */
const keptSeconds = 86_400;

/** What a manifest is made of. */
export interface JobManifestOptions {
  readonly template: JobManifest;
  readonly specification: RunSpecification;
  readonly tensorFlow: TensorFlowOptions;
  /** Queue of Kueue; null: none. */
  readonly queue: string | null;
  /** What the trainer is told and its runs' pods go by. */
  readonly settings: RunSettings;
}

/** Settings that a run's pod has from its trainer. */
export type RunSettings = Pick<TrainingRunConfig, 'keepCheckpoints' | 'dataRetryMs' | 'storeRetryMs'>;

/**
 * The Job of a run. The template decides on everything but: labels, the container's arguments, what the run asks for, the trainer's
 * settings (what decides on the bits of the result, checkpoints, retries), and (where the template has none) how its pods' failures are judged.
 * @throws KindredError FAILED_PRECONDITION when the template has no container `training`
 */
export function jobManifest(options: JobManifestOptions): JobManifest {
  const { template, specification, tensorFlow, queue, settings } = options;
  const { accelerator, acceleratorCount, cpuMillis, memoryBytes, priorityClass } =
    specification.resources ?? noResources;
  const { metadata, spec } = structuredClone(template);
  const pod = spec.template.spec;
  const container = pod.containers.find(({ name }: { name: string }) => name === containerName);
  if (container === undefined) {
    const names = pod.containers.map(({ name }: { name: string }) => name).join(', ');
    throw new KindredError(
      'FAILED_PRECONDITION',
      `the job template has the containers ${names}; allowed: one of them is named ${containerName}`,
    );
  }
  const labels = { ...runLabels, [runLabel]: specification.runId };
  container.args = [specification.runId];
  const asked = {
    ...(namesAccelerator(accelerator) && { [accelerator]: String(acceleratorCount) }),
    ...(cpuMillis > 0 && { cpu: `${cpuMillis}m` }),
    ...(memoryBytes > 0 && { memory: String(memoryBytes) }),
  };
  const { requests = {}, limits = {} } = container.resources ?? {};
  // A run that names an accelerator gets that one in place of the template's.
  const kept = accelerator === '' ? (all: Resources) => all : withoutDevices;
  container.resources = {
    ...container.resources,
    requests: { ...kept(requests), ...asked },
    limits: { ...kept(limits), ...asked },
  };
  if (accelerator !== '') leaveClaims(pod, container);
  if (accelerator === noAccelerator) leaveDeviceNodes(pod);
  const environment = environmentOf(tensorFlow, cpuMillis, settings);
  const own = new Set(environment.map(({ name }) => name));
  container.env = [...(container.env ?? []).filter(({ name }: { name: string }) => !own.has(name)), ...environment];
  if (accelerator.startsWith(nvidia)) {
    pod.tolerations = [...(pod.tolerations ?? []), { key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }];
  }
  if (priorityClass !== '') pod.priorityClassName = priorityClass;
  pod.restartPolicy = 'Never';
  spec.template.metadata = {
    ...spec.template.metadata,
    labels: { ...spec.template.metadata?.labels, ...labels },
  };
  const queueLabels: Record<string, string> = queue === null ? {} : { [queueLabel]: queue };
  return {
    metadata: {
      ...metadata,
      labels: { ...metadata?.labels, ...labels, ...queueLabels, [contentLabel]: contentHash(specification) },
    },
    spec: {
      podFailurePolicy: failurePolicy,
      backoffLimit,
      ttlSecondsAfterFinished: keptSeconds,
      ...spec,
      // Kueue takes it from here; without Kueue nobody would ever.
      ...(queue !== null && { suspend: true }),
      // A pod that is on its way out still writes: the next one comes after it.
      podReplacementPolicy: 'Failed',
      parallelism: 1,
      completions: 1,
    },
  };
}

/** Takes the template's claims of devices (DRA) away. */
function leaveClaims(pod: PodSpec, container: PodSpec): void {
  delete container.resources.claims;
  delete pod.resourceClaims;
}

/** Takes away what lets or sends a pod to nodes with GPUs. */
function leaveDeviceNodes(pod: PodSpec): void {
  if (pod.runtimeClassName === 'nvidia') delete pod.runtimeClassName;
  if (pod.tolerations !== undefined)
    pod.tolerations = pod.tolerations.filter(({ key = '' }: { key?: string }) => !key.startsWith(nvidia));
  if (pod.nodeSelector !== undefined)
    pod.nodeSelector = Object.fromEntries(Object.entries(pod.nodeSelector).filter(([key]) => !key.startsWith(nvidia)));
}

type PodSpec = JobManifest['spec'];
type Resources = Readonly<Record<string, string>>;

/** Only what every node has: devices have a vendor's domain in their name. */
function withoutDevices(resources: Resources): Resources {
  return Object.fromEntries(Object.entries(resources).filter(([name]) => !name.includes('/')));
}

/** Whether a Job with the run's name was made for exactly this run. */
export function isJobOf(job: JobState, specification: RunSpecification): boolean {
  return job.labels[runLabel] === specification.runId && job.labels[contentLabel] === contentHash(specification);
}

/** In this order: an error that would come again ends the Job, a disruption never counts, the rest counts. */
const failurePolicy = {
  rules: [
    {
      action: 'FailJob',
      onExitCodes: { containerName, operator: 'In', values: [trainingExit.failed] },
    },
    { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
  ],
};

function environmentOf({ intraOpThreads, xla, tf32 }: TensorFlowOptions, cpuMillis: number, settings: RunSettings) {
  const flag = (on: boolean | undefined): string => (on === true ? '1' : '0');
  const threads = cpuMillis > 0 ? Math.ceil(cpuMillis / 1000) : (intraOpThreads ?? 1);
  const field = (fieldPath: string) => ({ fieldRef: { fieldPath } });
  return [
    { name: 'KINDRED_TRAINER_THREADS', value: String(threads) },
    { name: 'KINDRED_TRAINER_XLA', value: flag(xla) },
    { name: 'KINDRED_TRAINER_TF32', value: flag(tf32) },
    { name: 'KINDRED_TRAINER_KEEP_CHECKPOINTS', value: String(settings.keepCheckpoints) },
    { name: 'KINDRED_TRAINER_DATA_RETRY_MS', value: String(settings.dataRetryMs) },
    { name: 'KINDRED_TRAINER_STORE_RETRY_MS', value: String(settings.storeRetryMs) },
    { name: 'KINDRED_JOB_UID', valueFrom: field("metadata.labels['batch.kubernetes.io/controller-uid']") },
    { name: 'KINDRED_POD_UID', valueFrom: field('metadata.uid') },
  ];
}

function contentHash(specification: RunSpecification): string {
  return createHash('sha256').update(contentOf(specification)).digest('hex').slice(0, 32);
}

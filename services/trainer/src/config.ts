// The trainer's settings, from the environment. The only reader of `process.env` in this service.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { invalidField } from '@kindred/errors';
import {
  coresOfMachine,
  defaultServiceAddress,
  fields,
  readConfig,
  readServiceConfig,
  serviceAddressVariable,
  type NetworkConfig,
} from '@kindred/service-runtime';
import type { TensorFlowOptions } from '@kindred/tensorflow-native';

/** Settings of the trainer service. */
export interface Config {
  readonly network: NetworkConfig;
  /** The artifact store: a folder's path, or `s3://BUCKET/PREFIX?endpoint=…`. */
  readonly artifactStore: string;
  /** `host:port` of the data-augmentation service. */
  readonly dataAugmentationAddress: string;
  /** Threads that one TensorFlow operation may use. */
  readonly threads: number;
  /** Whether XLA compiles the training step: the fastest on a GPU once it has (docs/performance.md), slower on a CPU. */
  readonly xla: boolean;
  /** Whether a GPU may round float32 products to TF32. */
  readonly tf32: boolean;
  /** Runs that may wait for their turn. */
  readonly maxPendingRuns: number;
  /** Checkpoints that a run keeps. */
  readonly keepCheckpoints: number;
  /** How long a run waits for the data-augmentation service before it fails, in milliseconds. */
  readonly dataRetryMs: number;
  /** How long a run waits for an artifact store that does not answer before it fails, in milliseconds. */
  readonly storeRetryMs: number;
  /** How runs become Jobs of a Kubernetes cluster; null: they are child processes. */
  readonly kubernetes: KubernetesConfig | null;
}

/** How runs become Jobs. */
export interface KubernetesConfig {
  /** Namespace of the Jobs: the trainer's own. */
  readonly namespace: string;
  /** Where the Jobs' template is: `cronjob/NAME`, or the path of a YAML file. */
  readonly jobTemplate: string;
  /** Queue of Kueue that admits them; null: none. */
  readonly queue: string | null;
  /** How often the progress of a run is read, in milliseconds. */
  readonly pollMs: number;
  /** Who this trainer is among those of its namespace: the same for a process that takes its place in its pod, else unique. */
  readonly identity: string;
  /** How long a trainer that is no longer heard of keeps others from working on its runs, in milliseconds. */
  readonly leaseMs: number;
}

/** Settings of a run's pod. */
export interface TrainingRunConfig extends Pick<
  Config,
  'artifactStore' | 'dataAugmentationAddress' | 'keepCheckpoints' | 'dataRetryMs' | 'storeRetryMs'
> {
  readonly tensorFlow: TensorFlowOptions;
  /** Uids of the Job and of the pod that this process works for. */
  readonly job: string;
  readonly pod: string;
}

/** Variables of the trainer and of its runs' pods. */
const trainingFields = {
  [serviceAddressVariable('data-augmentation')]: fields.text().default(defaultServiceAddress('data-augmentation')),
  KINDRED_ARTIFACT_STORE: fields.text().default('./kindred-data/artifacts'),
  KINDRED_TRAINER_THREADS: fields.integer(1, 256).default(Math.min(256, coresOfMachine())),
  KINDRED_TRAINER_XLA: fields.flag().default(false),
  KINDRED_TRAINER_TF32: fields.flag().default(true),
  KINDRED_TRAINER_KEEP_CHECKPOINTS: fields.integer(2, 1_000).default(3),
  KINDRED_TRAINER_DATA_RETRY_MS: fields.integer(0, 86_400_000).default(600_000),
  KINDRED_TRAINER_STORE_RETRY_MS: fields.integer(0, 86_400_000).default(3_600_000),
};

/** What TensorFlow is started with. */
export function tensorFlowOptions({ threads, xla, tf32 }: Pick<Config, 'threads' | 'xla' | 'tf32'>): TensorFlowOptions {
  return { intraOpThreads: threads, xla, tf32 };
}

/** Reads and checks the environment of a run's pod. @throws KindredError INVALID_ARGUMENT naming each wrong variable. */
export function loadTrainingRunConfig(environment: NodeJS.ProcessEnv = process.env): TrainingRunConfig {
  const values: Record<string, unknown> = readConfig(environment, {
    ...trainingFields,
    KINDRED_JOB_UID: fields.text(),
    KINDRED_POD_UID: fields.text(),
  });
  const training = trainingConfig(values);
  return Object.freeze({
    ...training,
    tensorFlow: tensorFlowOptions(training),
    job: values['KINDRED_JOB_UID'] as string,
    pod: values['KINDRED_POD_UID'] as string,
  });
}

/** Reads and checks the environment. @throws KindredError INVALID_ARGUMENT naming each wrong variable. */
export function loadConfig(environment: NodeJS.ProcessEnv = process.env): Config {
  const { network, values } = readServiceConfig('trainer', environment, {
    ...trainingFields,
    KINDRED_TRAINER_MAX_PENDING_RUNS: fields.integer(1, 100_000).default(100),
    KINDRED_TRAINER_EXECUTOR: fields.choice('process', 'kubernetes').default('process'),
    KINDRED_TRAINER_NAMESPACE: fields.text().default('default'),
    KINDRED_TRAINER_JOB_TEMPLATE: fields.text().default('cronjob/training-run'),
    KINDRED_TRAINER_QUEUE: fields.text().optional(),
    KINDRED_TRAINER_POLL_MS: fields.integer(50, 60_000).default(2_000),
    KINDRED_TRAINER_IDENTITY: fields.text().default(`${hostname()}_${randomUUID()}`),
    KINDRED_TRAINER_LEASE_MS: fields.integer(3_000, 3_600_000).default(120_000),
  });
  return Object.freeze({
    network,
    ...trainingConfig(values),
    maxPendingRuns: values['KINDRED_TRAINER_MAX_PENDING_RUNS'] as number,
    kubernetes: values['KINDRED_TRAINER_EXECUTOR'] === 'kubernetes' ? kubernetesConfig(values) : null,
  });
}

function trainingConfig(values: Readonly<Record<string, unknown>>) {
  return {
    artifactStore: values['KINDRED_ARTIFACT_STORE'] as string,
    dataAugmentationAddress: values[serviceAddressVariable('data-augmentation')] as string,
    threads: values['KINDRED_TRAINER_THREADS'] as number,
    xla: values['KINDRED_TRAINER_XLA'] as boolean,
    tf32: values['KINDRED_TRAINER_TF32'] as boolean,
    keepCheckpoints: values['KINDRED_TRAINER_KEEP_CHECKPOINTS'] as number,
    dataRetryMs: values['KINDRED_TRAINER_DATA_RETRY_MS'] as number,
    storeRetryMs: values['KINDRED_TRAINER_STORE_RETRY_MS'] as number,
  };
}

function kubernetesConfig(values: Readonly<Record<string, unknown>>): KubernetesConfig {
  const jobTemplate = values['KINDRED_TRAINER_JOB_TEMPLATE'] as string;
  if (!/^(cronjob\/[a-z0-9.-]+|\/.+)$/.test(jobTemplate)) {
    throw invalidField(
      'KINDRED_TRAINER_JOB_TEMPLATE',
      `got '${jobTemplate}'; allowed: cronjob/NAME, or the absolute path of a YAML file`,
    );
  }
  return {
    namespace: values['KINDRED_TRAINER_NAMESPACE'] as string,
    jobTemplate,
    queue: (values['KINDRED_TRAINER_QUEUE'] as string | undefined) ?? null,
    pollMs: values['KINDRED_TRAINER_POLL_MS'] as number,
    identity: values['KINDRED_TRAINER_IDENTITY'] as string,
    leaseMs: values['KINDRED_TRAINER_LEASE_MS'] as number,
  };
}

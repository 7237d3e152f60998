// The trainer's settings, from the environment. The only reader of `process.env` in this service.
import { availableParallelism } from 'node:os';
import {
  defaultServiceAddress,
  fields,
  networkFields,
  readConfig,
  serviceAddressVariable,
  type NetworkConfig,
} from '@kindred/service-runtime';

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
}

/** Reads and checks the environment. @throws KindredError INVALID_ARGUMENT naming each wrong variable. */
export function loadConfig(environment: NodeJS.ProcessEnv = process.env): Config {
  const network = networkFields('trainer');
  const augmentation = serviceAddressVariable('data-augmentation');
  const values: Record<string, unknown> = readConfig(environment, {
    ...network.schema,
    [augmentation]: fields.text().default(defaultServiceAddress('data-augmentation')),
    KINDRED_ARTIFACT_STORE: fields.text().default('./kindred-data/artifacts'),
    KINDRED_TRAINER_THREADS: fields.integer(1, 256).default(availableParallelism()),
    KINDRED_TRAINER_XLA: fields.flag().default(false),
    KINDRED_TRAINER_TF32: fields.flag().default(true),
    KINDRED_TRAINER_MAX_PENDING_RUNS: fields.integer(1, 100_000).default(100),
    KINDRED_TRAINER_KEEP_CHECKPOINTS: fields.integer(2, 1_000).default(3),
    KINDRED_TRAINER_DATA_RETRY_MS: fields.integer(0, 86_400_000).default(600_000),
    KINDRED_TRAINER_STORE_RETRY_MS: fields.integer(0, 86_400_000).default(3_600_000),
  });
  return Object.freeze({
    network: network.read(values),
    artifactStore: values['KINDRED_ARTIFACT_STORE'] as string,
    dataAugmentationAddress: values[augmentation] as string,
    threads: values['KINDRED_TRAINER_THREADS'] as number,
    xla: values['KINDRED_TRAINER_XLA'] as boolean,
    tf32: values['KINDRED_TRAINER_TF32'] as boolean,
    maxPendingRuns: values['KINDRED_TRAINER_MAX_PENDING_RUNS'] as number,
    keepCheckpoints: values['KINDRED_TRAINER_KEEP_CHECKPOINTS'] as number,
    dataRetryMs: values['KINDRED_TRAINER_DATA_RETRY_MS'] as number,
    storeRetryMs: values['KINDRED_TRAINER_STORE_RETRY_MS'] as number,
  });
}

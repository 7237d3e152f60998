// What the environment says to this service; the only reader of `process.env` here.
import { fields, networkFields, readConfig, type NetworkConfig } from '@kindred/service-runtime';

/** Bounds of what the service holds. */
export interface Limits {
  /** Vectors in all indexes together. */
  readonly maxVectors: number;
  /** Bytes of one Upsert stream, which is held in memory until it has ended. */
  readonly maxUpsertBytes: number;
  /** Mining jobs at a time. */
  readonly maxMiningJobs: number;
}

/** The service's settings. */
export interface Config {
  readonly network: NetworkConfig;
  /** The artifact store: a folder's path, or `s3://BUCKET/PREFIX?endpoint=…`. */
  readonly artifactStore: string;
  readonly limits: Limits;
}

/** Reads the settings. @throws KindredError INVALID_ARGUMENT naming each variable that cannot be used. */
export function loadConfig(environment: NodeJS.ProcessEnv = process.env): Config {
  const network = networkFields('neighbor-index');
  const values = readConfig(environment, {
    ...network.schema,
    KINDRED_ARTIFACT_STORE: fields.text().default('./kindred-data/artifacts'),
    KINDRED_NEIGHBOR_INDEX_MAX_VECTORS: fields.integer(1, 16_000_000).default(5_000_000),
    KINDRED_NEIGHBOR_INDEX_MAX_UPSERT_MIB: fields.integer(1, 16_384).default(2_048),
    KINDRED_NEIGHBOR_INDEX_MAX_MINING_JOBS: fields.integer(1, 64).default(4),
  });
  return Object.freeze({
    network: network.read(values),
    artifactStore: values.KINDRED_ARTIFACT_STORE as string,
    limits: {
      maxVectors: values.KINDRED_NEIGHBOR_INDEX_MAX_VECTORS as number,
      maxUpsertBytes: (values.KINDRED_NEIGHBOR_INDEX_MAX_UPSERT_MIB as number) * 1024 * 1024,
      maxMiningJobs: values.KINDRED_NEIGHBOR_INDEX_MAX_MINING_JOBS as number,
    },
  });
}

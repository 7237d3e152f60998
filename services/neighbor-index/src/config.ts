// What the environment says to this service; the only reader of `process.env` here.
import { totalmem } from 'node:os';
import {
  coresOfMachine,
  defaultServiceAddress,
  fields,
  readServiceConfig,
  serviceAddressVariable,
  type NetworkConfig,
} from '@kindred/service-runtime';
import { defaultMaintenance } from './collection/maintenance.js';
import type { Limits } from './limits.js';
import type { WeaviateSettings } from './weaviate/cluster.js';
import { readWeaviateSettings, weaviateFields } from './weaviate/settings.js';

/** The service's settings. */
export interface Config {
  readonly network: NetworkConfig;
  /** The artifact store: a folder's path, or `s3://BUCKET/PREFIX?endpoint=…`. */
  readonly artifactStore: string;
  /** Folder of the collections: a disk of this machine. */
  readonly dataFolder: string;
  readonly limits: Limits;
  /** Rows that grow in memory before they become a file, in collections with an index. */
  readonly growingRows: number;
  /** Cores that building an index may use. */
  readonly buildThreads: number;
  /** Cores that searches and mining may use. */
  readonly searchThreads: number;
  /** Where the embedding service is, for SearchByImage. */
  readonly embeddingAddress: string;
  /** The Weaviate cluster; null: none. */
  readonly weaviate: WeaviateSettings | null;
}

const mib = 1024 * 1024;
/** Part of the machine's memory that collections may take unless a limit is set. */
const memoryShare = 0.7;

/** Reads the settings. @throws KindredError INVALID_ARGUMENT naming each variable that cannot be used. */
export function loadConfig(environment: NodeJS.ProcessEnv = process.env): Config {
  const embedding = serviceAddressVariable('embedding');
  const machineMib = Math.floor((Math.min(totalmem(), process.constrainedMemory() || Infinity) * memoryShare) / mib);
  const { network, values } = readServiceConfig('neighbor-index', environment, {
    ...weaviateFields,
    [embedding]: fields.text().default(defaultServiceAddress('embedding')),
    KINDRED_ARTIFACT_STORE: fields.text().default('./kindred-data/artifacts'),
    KINDRED_NEIGHBOR_INDEX_DATA: fields.text().default('./kindred-data/neighbor-index'),
    KINDRED_NEIGHBOR_INDEX_MAX_VECTORS: fields.integer(1, 1_000_000_000).default(100_000_000),
    KINDRED_NEIGHBOR_INDEX_MAX_MEMORY_MIB: fields.integer(1, 16_777_216).default(machineMib),
    KINDRED_NEIGHBOR_INDEX_MAX_DISK_MIB: fields.integer(1, 1_073_741_824).default(1_048_576),
    KINDRED_NEIGHBOR_INDEX_MAX_COLLECTIONS: fields.integer(1, 10_000).default(1_000),
    KINDRED_NEIGHBOR_INDEX_MAX_UPSERT_MIB: fields.integer(1, 2_048).default(2_048),
    KINDRED_NEIGHBOR_INDEX_MAX_MINING_JOBS: fields.integer(1, 64).default(4),
    KINDRED_NEIGHBOR_INDEX_GROWING_ROWS: fields.integer(1, 10_000_000).default(defaultMaintenance.growingRows),
    KINDRED_NEIGHBOR_INDEX_BUILD_THREADS: fields.integer(1, 256).default(1),
    KINDRED_NEIGHBOR_INDEX_SEARCH_THREADS: fields.integer(1, 256).default(Math.min(256, coresOfMachine())),
  });
  const number = (name: string): number =>
    (values as Record<string, unknown>)[`KINDRED_NEIGHBOR_INDEX_${name}`] as number;
  return Object.freeze({
    network,
    artifactStore: values.KINDRED_ARTIFACT_STORE as string,
    dataFolder: values.KINDRED_NEIGHBOR_INDEX_DATA as string,
    embeddingAddress: (values as Record<string, unknown>)[embedding] as string,
    buildThreads: number('BUILD_THREADS'),
    searchThreads: number('SEARCH_THREADS'),
    growingRows: number('GROWING_ROWS'),
    weaviate: readWeaviateSettings(values),
    limits: {
      maxVectors: number('MAX_VECTORS'),
      maxMemoryBytes: number('MAX_MEMORY_MIB') * mib,
      maxDiskBytes: number('MAX_DISK_MIB') * mib,
      maxCollections: number('MAX_COLLECTIONS'),
      maxUpsertBytes: number('MAX_UPSERT_MIB') * mib,
      maxMiningJobs: number('MAX_MINING_JOBS'),
    },
  });
}

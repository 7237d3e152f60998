// The folder that holds everything on this machine: artifacts, data sets, logs, and who serves it now.
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServiceName } from '@kindred/service-runtime';
import { folderOfStore } from './artifact-place.js';

/** The places in one data folder. */
export interface DataFolder {
  readonly path: string;
  /** The artifact store: a folder, `s3://BUCKET/PREFIX?…`, or `minio` for a server of the data folder's own. */
  readonly artifacts: string;
  /** Fetched data sets; the first data root of the data-augmentation service. */
  readonly datasets: string;
  /** Shards of pushed data sets, as the data-augmentation service keeps them. */
  readonly shardCache: string;
  /** The collections of the neighbor-index service. */
  readonly collections: string;
  readonly lockFile: string;
  readonly servicesFile: string;
  /** How far copies of collections have come. */
  readonly migrations: string;
  /** Data and credentials of the folder's own MinIO. */
  readonly minio: string;
  logFile(program: ServiceName | 'minio'): string;
}

/** What `services.json` says of one service. */
export interface ServiceRecord {
  readonly address: string;
  readonly metricsAddress: string;
  /** Null while it is not running. */
  readonly pid: number | null;
  readonly state: 'starting' | 'running' | 'restarting' | 'stopped';
}

/** `services.json`: the services of a data folder, while some process runs them. */
export interface ServicesRecord {
  /** The process that runs them. */
  readonly pid: number;
  /** The artifact store that they use. */
  readonly store: string;
  readonly services: Readonly<Partial<Record<ServiceName, ServiceRecord>>>;
}

/** The layout of the data folder at `path`, with the artifact store `store`. @default its own folder `artifacts` */
export function dataFolder(path: string, store?: string): DataFolder {
  const root = resolve(path);
  return {
    path: root,
    artifacts: store === undefined ? join(root, 'artifacts') : absoluteStore(store),
    minio: join(root, 'minio'),
    datasets: join(root, 'datasets'),
    shardCache: join(root, 'shard-cache'),
    collections: join(root, 'neighbor-index'),
    migrations: join(root, 'migrations'),
    lockFile: join(root, 'services.lock'),
    servicesFile: join(root, 'services.json'),
    logFile: (program) => join(root, 'logs', `${program}.log`),
  };
}

/** Makes the folders. */
export async function makeDataFolder(folder: DataFolder): Promise<void> {
  const store = folderOfStore(folder.artifacts);
  for (const path of [...(store === null ? [] : [store]), folder.datasets, join(folder.path, 'logs')])
    await mkdir(path, { recursive: true });
}

/** Writes `services.json` in one step, so that a reader never sees half of it. */
export async function writeServicesRecord(folder: DataFolder, record: ServicesRecord): Promise<void> {
  const temporary = `${folder.servicesFile}.${process.pid}`;
  await writeFile(temporary, `${JSON.stringify(record, null, 2)}\n`);
  await rename(temporary, folder.servicesFile);
}

/** Reads `services.json`; null if it is absent or cannot be read. */
export async function readServicesRecord(folder: DataFolder): Promise<ServicesRecord | null> {
  try {
    return JSON.parse(await readFile(folder.servicesFile, 'utf8')) as ServicesRecord;
  } catch {
    return null;
  }
}

/** A store's name that means the same in every working folder. */
function absoluteStore(store: string): string {
  const folder = folderOfStore(store);
  return folder === null ? store : resolve(folder);
}

/** The folder of the workspace: what lies above `dist/tools/kindred` or `tools/kindred/src`. */
export function workspaceFolder(): string {
  return resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
}

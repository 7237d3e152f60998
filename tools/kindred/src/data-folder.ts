// The folder that holds everything on this machine: artifacts, data sets, logs, and who serves it now.
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServiceName } from '@kindred/service-runtime';

/** The places in one data folder. */
export interface DataFolder {
  readonly path: string;
  /** The artifact store. */
  readonly artifacts: string;
  /** Fetched data sets; the first data root of the data-augmentation service. */
  readonly datasets: string;
  readonly lockFile: string;
  readonly servicesFile: string;
  logFile(service: ServiceName): string;
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
  readonly services: Readonly<Partial<Record<ServiceName, ServiceRecord>>>;
}

/** The layout of the data folder at `path`. */
export function dataFolder(path: string): DataFolder {
  const root = resolve(path);
  return {
    path: root,
    artifacts: join(root, 'artifacts'),
    datasets: join(root, 'datasets'),
    lockFile: join(root, 'services.lock'),
    servicesFile: join(root, 'services.json'),
    logFile: (service) => join(root, 'logs', `${service}.log`),
  };
}

/** Makes the folders. */
export async function makeDataFolder(folder: DataFolder): Promise<void> {
  for (const path of [folder.artifacts, folder.datasets, join(folder.path, 'logs')])
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

/** The folder of the workspace: what lies above `dist/tools/kindred` or `tools/kindred/src`. */
export function workspaceFolder(): string {
  return resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
}

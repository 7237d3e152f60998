// The services of one data folder on this machine, as child processes of this command.
import { createServer } from 'node:net';
import { join } from 'node:path';
import { rm } from 'node:fs/promises';
import { KindredError } from '@kindred/errors';
import { serviceAddressVariable, services, type ServiceName } from '@kindred/service-runtime';
import {
  makeDataFolder,
  workspaceFolder,
  writeServicesRecord,
  type DataFolder,
  type ServiceRecord,
} from './data-folder.js';
import { ownMinio } from './artifact-place.js';
import { acquireLock } from './lock.js';
import { startMinio, type MinioServer } from './minio-server.js';
import { startServiceProcess, type ServiceChange, type ServiceProcess } from './service-process.js';

/** Which services, where, and who listens to their fate. */
export interface SupervisorOptions {
  readonly folder: DataFolder;
  /** @default all four */
  readonly names?: readonly ServiceName[];
  /** Ports by service; 0 everywhere: any free ones. */
  readonly ports: (name: ServiceName) => { readonly port: number; readonly metricsPort: number };
  /** Folders that data sets may be read from, beside the data folder's own. */
  readonly dataRoots?: readonly string[];
  /** Where the bundles lie, `<folder>/<service>/main.js`. @default `KINDRED_SERVICE_BUNDLES`, or `dist/services` of the workspace */
  readonly bundles?: string;
  /** The command line, for whoever finds the lock. */
  readonly command: string;
  readonly onChange?: (change: ServiceChange) => void;
  /** Told what is done beside the services: a MinIO that is built or started. */
  readonly say?: (words: string) => void;
  /** Longest wait for a service to drain. @default 15000 */
  readonly drainMs?: number;
}

/** Services that run. */
export interface Supervisor {
  /** The artifact store that the services use. */
  readonly store: string;
  records(): Readonly<Partial<Record<ServiceName, ServiceRecord>>>;
  /** Drains all, those first that call the others. Idempotent. */
  stop(): Promise<void>;
  /** Ends all at once. */
  kill(): void;
}

/** Services that start first: the others call them. */
const firstWave: readonly ServiceName[] = ['data-augmentation', 'neighbor-index'];
const host = '127.0.0.1';

/** All four names, in the order in which they are shown. */
export const serviceNames = Object.keys(services) as ServiceName[];

/** Ports for `up`: the services' own, or `base`, `base + 1`… with metrics ten above. */
export function portsFrom(base: number | null): SupervisorOptions['ports'] {
  return (name) => {
    if (base === null) return services[name];
    const offset = serviceNames.indexOf(name);
    return base === 0 ? { port: 0, metricsPort: 0 } : { port: base + offset, metricsPort: base + offset + 10 };
  };
}

/**
 * Starts services and keeps them running until {@link Supervisor.stop}.
 * @throws KindredError FAILED_PRECONDITION when the folder is in use, a port is, or a bundle is missing; UNAVAILABLE with
 * the last log lines when a service does not start. Nothing is left running then.
 */
export async function startServices(options: SupervisorOptions): Promise<Supervisor> {
  const { folder, names = serviceNames, drainMs = 15_000 } = options;
  await makeDataFolder(folder);
  const lock = await acquireLock(folder.lockFile, options.command);
  const minio = await startOwnMinio(options).catch(async (thrown: unknown) => {
    await lock.release();
    throw thrown;
  });
  const store = minio?.store ?? folder.artifacts;
  const running = new Map<ServiceName, ServiceProcess>();
  let writing: Promise<void> = Promise.resolve();

  const records = (): Partial<Record<ServiceName, ServiceRecord>> =>
    Object.fromEntries(
      serviceNames.flatMap((name) => (running.has(name) ? [[name, running.get(name)?.record()]] : [])),
    );
  const publish = (): Promise<void> => {
    writing = writing.then(() => writeServicesRecord(folder, { pid: process.pid, store, services: records() }));
    return writing;
  };

  const startOne = async (name: ServiceName): Promise<void> => {
    const service = await startServiceProcess({
      name,
      entry: join(options.bundles ?? defaultBundles(), name, 'main.js'),
      environment: serviceEnvironment(options, store, records()),
      logFile: folder.logFile(name),
      ...options.ports(name),
      onChange(change) {
        options.onChange?.(change);
        if (running.has(name)) void publish();
      },
    });
    running.set(name, service);
  };
  const startWave = async (wave: readonly ServiceName[]): Promise<void> => {
    const results = await Promise.allSettled(wave.map(startOne));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  };
  let stopped: Promise<void> | null = null;
  const stop = async (): Promise<void> => {
    const second = [...running.values()].filter(({ name }) => !firstWave.includes(name));
    const first = [...running.values()].filter(({ name }) => firstWave.includes(name));
    for (const wave of [second, first]) await Promise.all(wave.map((service) => service.stop(drainMs)));
    await minio?.stop();
    await writing;
    await rm(folder.servicesFile, { force: true });
    await lock.release();
  };

  try {
    await checkPorts(names, options.ports);
    await startWave(names.filter((name) => firstWave.includes(name)));
    await startWave(names.filter((name) => !firstWave.includes(name)));
    await publish();
  } catch (thrown) {
    await stop();
    throw thrown;
  }
  return {
    store,
    records,
    stop: () => (stopped ??= stop()),
    kill() {
      running.forEach((service) => service.kill());
      minio?.kill();
    },
  };
}

async function startOwnMinio({ folder, say = () => {} }: SupervisorOptions): Promise<MinioServer | null> {
  return folder.artifacts === ownMinio ? startMinio(folder, say) : null;
}

function defaultBundles(): string {
  const named = process.env['KINDRED_SERVICE_BUNDLES'] ?? '';
  return named === '' ? join(workspaceFolder(), 'dist/services') : named;
}

/** What the services need to know of each other and of the data folder. */
function serviceEnvironment(
  { folder, ports, dataRoots = [] }: SupervisorOptions,
  store: string,
  started: Readonly<Partial<Record<ServiceName, ServiceRecord>>>,
): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    KINDRED_ARTIFACT_STORE: store,
    KINDRED_NEIGHBOR_INDEX_DATA: folder.collections,
    KINDRED_DATA_AUGMENTATION_ROOTS: [folder.datasets, ...dataRoots].join(':'),
    KINDRED_DATA_AUGMENTATION_SHARD_CACHE: folder.shardCache,
  };
  for (const name of serviceNames) {
    environment[serviceAddressVariable(name).replace(/_ADDR$/, '_HOST')] = host;
    // One that starts later is named by its port, where that is fixed.
    const { port } = ports(name);
    const address = started[name]?.address ?? (port === 0 ? undefined : `${host}:${port}`);
    if (address !== undefined) environment[serviceAddressVariable(name)] = address;
  }
  return environment;
}

/** Tries each fixed port, so that one in use is one clear error instead of a service that ends. */
async function checkPorts(names: readonly ServiceName[], ports: SupervisorOptions['ports']): Promise<void> {
  const taken: string[] = [];
  for (const name of names) {
    const { port, metricsPort } = ports(name);
    for (const [number, use] of [
      [port, name],
      [metricsPort, `${name}'s metrics`],
    ] as const) {
      if (number !== 0 && !(await isFree(number))) taken.push(`${number} (${use})`);
    }
  }
  if (taken.length === 0) return;
  throw new KindredError(
    'FAILED_PRECONDITION',
    `${taken.length === 1 ? 'port' : 'ports'} ${taken.join(', ')} in use by another process\n` +
      'stop that process, or choose other ports with --port-base N (0: any free ones)',
  );
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

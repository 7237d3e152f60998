// The services that a command talks to: those of a running `kindred up`, those of a cluster, or its own for the duration.
import { KindredError, isKindredError } from '@kindred/errors';
import { AugmentationServiceDefinition } from '@kindred/protocol/augmentation';
import { EmbeddingServiceDefinition } from '@kindred/protocol/embedding';
import { NeighborIndexServiceDefinition } from '@kindred/protocol/neighbors';
import { TrainingServiceDefinition } from '@kindred/protocol/training';
import { connect, serviceAddressVariable, type Connection, type ServiceName } from '@kindred/service-runtime';
import { folderOfStore } from './artifact-place.js';
import { readServicesRecord, type DataFolder, type ServicesRecord } from './data-folder.js';
import { createHealthMonitor, type HealthMonitor } from './health-monitor.js';
import type { Interruption } from './interruption.js';
import { lockHolder } from './lock.js';
import type { Output } from './output.js';
import { serviceReporter } from './service-reporter.js';
import { portsFrom, serviceNames, startServices, type Supervisor } from './supervisor.js';

/** What a command needs of the services. */
export interface SessionOptions {
  readonly folder: DataFolder;
  readonly output: Output;
  readonly interruption: Interruption;
  /** Services to start when none are up. @default all four. Null: none are started, which is UNAVAILABLE. */
  readonly start?: readonly ServiceName[] | null;
  /** Folders of data sets that the command names. */
  readonly dataRoots?: readonly string[];
  readonly bundles?: string;
}

/** Clients of the four services. Calls to one that was not started fail as UNAVAILABLE. */
export interface Session {
  readonly augmentation: Connection<typeof AugmentationServiceDefinition>['client'];
  readonly training: Connection<typeof TrainingServiceDefinition>['client'];
  readonly embedding: Connection<typeof EmbeddingServiceDefinition>['client'];
  readonly neighbors: Connection<typeof NeighborIndexServiceDefinition>['client'];
  readonly monitor: HealthMonitor;
  readonly output: Output;
  readonly signal: AbortSignal;
  /** Whether the services end with this command. */
  readonly owned: boolean;
  /** The artifact store, for `openStore`; null when the services are elsewhere and `KINDRED_ARTIFACT_STORE` is not set. */
  readonly artifactStore: string | null;
  /** Folder of the artifact store; null when it is a bucket, or on another machine. */
  readonly artifactFolder: string | null;
  /** Does `work`; when a service is lost under it, waits until all answer and does it again from its beginning. */
  persist<T>(work: () => Promise<T>): Promise<T>;
  /** Closes the connections; drains the services if they are the command's own. */
  close(): Promise<void>;
}

type Addresses = Readonly<Partial<Record<ServiceName, string>>>;

/** Longest wait for a lost service to come back. */
const patienceMs = 120_000;
const maxRepeats = 10;
/** Work that went on this long before a loss is not failing in a row. */
const soundAfterMs = 20_000;

/** Finds the services, or starts them. */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { folder, output, interruption } = options;
  const signal = interruption.signal;
  let supervisor: Supervisor | null = null;
  let artifactStore = process.env['KINDRED_ARTIFACT_STORE'] ?? null;
  let addresses = addressesFromEnvironment();
  if (addresses === null) {
    const running = await recordOfRunning(folder, signal);
    addresses = running === null ? null : addressesIn(running.services);
    artifactStore = running?.store ?? null;
  }
  if (addresses === null) {
    supervisor = await startOwn(options);
    artifactStore = supervisor.store;
    addresses = addressesIn(supervisor.records());
    interruption.onSecond(() => supervisor?.kill());
  }
  const owned = supervisor !== null;

  const address = (name: ServiceName): string => addresses[name] ?? '127.0.0.1:1';
  const connections = {
    augmentation: connect(AugmentationServiceDefinition, {
      service: 'data-augmentation',
      address: address('data-augmentation'),
    }),
    training: connect(TrainingServiceDefinition, { service: 'trainer', address: address('trainer') }),
    embedding: connect(EmbeddingServiceDefinition, { service: 'embedding', address: address('embedding') }),
    neighbors: connect(NeighborIndexServiceDefinition, {
      service: 'neighbor-index',
      address: address('neighbor-index'),
    }),
  };
  const monitor = createHealthMonitor({
    addresses,
    onChange(service, healthy, at) {
      // The supervisor says more about the command's own services, and sooner.
      if (owned || signal.aborted) return;
      output.event('service', { service, state: healthy ? 'running' : 'unavailable', address: at });
      if (healthy) output.text(`service ${service} answers again`);
      else output.warn(`service ${service} at ${at} does not answer; waiting for it`);
    },
  });

  return {
    augmentation: connections.augmentation.client,
    training: connections.training.client,
    embedding: connections.embedding.client,
    neighbors: connections.neighbors.client,
    monitor,
    output,
    signal,
    owned,
    artifactStore,
    artifactFolder: artifactStore === null ? null : folderOfStore(artifactStore),
    async persist(work) {
      let repeat = 0;
      for (let began = Date.now(); ; began = Date.now(), repeat++) {
        try {
          return await work();
        } catch (thrown) {
          if (Date.now() - began > soundAfterMs) repeat = 0;
          if (signal.aborted) throw new KindredError('CANCELLED', 'interrupted', { cause: thrown });
          if (repeat >= maxRepeats || !isLoss(thrown)) throw thrown;
          await monitor.untilHealthy(patienceMs, signal);
        }
      }
    },
    async close() {
      monitor.close();
      for (const connection of Object.values(connections)) connection.close();
      await supervisor?.stop();
    },
  };
}

/** Whether an error means that a service went away, as against that it refused. */
export function isLoss(thrown: unknown): boolean {
  return isKindredError(thrown, 'UNAVAILABLE') || isKindredError(thrown, 'CANCELLED');
}

async function startOwn({ folder, output, start, dataRoots = [], bundles }: SessionOptions): Promise<Supervisor> {
  if (start === null) {
    throw new KindredError(
      'UNAVAILABLE',
      `no services are up for the data folder ${folder.path}; start them with 'kindred up'`,
    );
  }
  return startServices({
    folder,
    names: start ?? serviceNames,
    ports: portsFrom(0),
    dataRoots,
    bundles,
    command: `kindred ${process.argv.slice(2).join(' ')}`.trim(),
    onChange: serviceReporter(output),
    say: (words) => output.text(words),
  });
}

/** The addresses in `KINDRED_<SERVICE>_ADDR`; null unless all four are set. */
function addressesFromEnvironment(): Addresses | null {
  const found = serviceNames.map((name) => [name, process.env[serviceAddressVariable(name)] ?? ''] as const);
  return found.every(([, address]) => address !== '') ? Object.fromEntries(found) : null;
}

/** The services that another command runs for this folder, once they are ready; null if there is none. */
export async function recordOfRunning(folder: DataFolder, signal: AbortSignal): Promise<ServicesRecord | null> {
  while (!signal.aborted && (await lockHolder(folder.lockFile)) !== null) {
    const record = await readServicesRecord(folder);
    const holder = await lockHolder(folder.lockFile);
    if (record !== null && holder !== null && record.pid === holder.pid) return record;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return null;
}

function addressesIn(records: Readonly<Partial<Record<ServiceName, { readonly address: string }>>>): Addresses {
  return Object.fromEntries(Object.entries(records).map(([name, { address }]) => [name, address]));
}

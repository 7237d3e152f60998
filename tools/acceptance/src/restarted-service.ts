// A built service as a process that is started again at once, on the same ports, whenever it is killed.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { serviceAddressVariable, type ServiceName } from '@kindred/service-runtime';

/** A service that comes back. */
export interface RestartedService {
  /** `host:port`, the same over restarts. */
  readonly address: string;
  /** Id of the process that serves now. */
  pid(): number;
  /** Ids of that process's own child processes. */
  children(): number[];
  /** `kill -9`; resolves when the process is gone. Its successor is on its way then. */
  kill(): Promise<void>;
  /** Resolves when the process that serves now is ready. */
  ready(): Promise<void>;
  /** Ends it for good. */
  stop(): Promise<void>;
}

const bundles = resolve(import.meta.dirname, '../../../dist/services');

/** Starts the bundle of `name` with `environment` and waits until it is ready. */
export async function startRestartedService(
  name: ServiceName,
  environment: Readonly<Record<string, string>>,
): Promise<RestartedService> {
  const prefix = serviceAddressVariable(name).replace(/_ADDR$/, '');
  let ports = { port: '0', metricsPort: '0' };
  let stopped = false;
  let address = '';
  let child: ChildProcess;
  let ready: Promise<void>;

  const start = (): void => {
    child = fork(resolve(bundles, name, 'main.js'), [], {
      env: {
        ...process.env,
        ...environment,
        KINDRED_LOG_LEVEL: 'fatal',
        [`${prefix}_PORT`]: ports.port,
        [`${prefix}_METRICS_PORT`]: ports.metricsPort,
      },
      execArgv: ['--enable-source-maps'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    child.once('exit', () => {
      if (!stopped) start();
    });
    ready = isReady(child, (message) => {
      address = message.address;
      ports = { port: portOf(message.address), metricsPort: portOf(message.metricsAddress) };
    });
  };
  start();
  await ready!;

  return {
    get address() {
      return address;
    },
    pid: () => child.pid ?? 0,
    children: () => childrenOf(child.pid ?? 0),
    async kill() {
      const dying = child;
      const gone = once(dying, 'exit');
      dying.kill('SIGKILL');
      await gone;
    },
    ready: () => ready,
    async stop() {
      stopped = true;
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    },
  };
}

interface Ready {
  readonly kind: string;
  readonly address: string;
  readonly metricsAddress: string;
}

/** Resolves once the process says that it listens, or when it is gone before that. */
function isReady(child: ChildProcess, tell: (message: Ready) => void): Promise<void> {
  return new Promise((done) => {
    child.once('exit', () => done());
    child.on('message', (message: Ready) => {
      if (message.kind !== 'ready') return;
      tell(message);
      done();
    });
  });
}

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(':') + 1);
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    // It has died an instant ago.
    return [];
  }
}

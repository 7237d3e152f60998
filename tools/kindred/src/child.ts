// One child process: forked with its log file and an IPC channel, and how it says that it is ready or ends.
import { fork, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, fstatSync, openSync } from 'node:fs';
import { KindredError } from '@kindred/errors';
import { serviceAddressVariable, type ServiceName } from '@kindred/service-runtime';

/** What is forked. */
export interface ChildOptions {
  readonly name: ServiceName;
  /** The bundle's main file. */
  readonly entry: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly logFile: string;
}

/** What a service sends to its parent once it listens. */
export interface Ready {
  readonly kind: 'ready';
  readonly address: string;
  readonly metricsAddress: string;
}

/** Forks the bundle on the given ports; its words are appended to the log, from byte `logStart` on. */
export function forkLogged(
  options: ChildOptions,
  port: number,
  metricsPort: number,
): { readonly child: ChildProcess; readonly logStart: number } {
  if (!existsSync(options.entry)) {
    throw new KindredError(
      'FAILED_PRECONDITION',
      `service ${options.name} is not built: ${options.entry} does not exist; run 'npm run build'`,
    );
  }
  const prefix = serviceAddressVariable(options.name).replace(/_ADDR$/, '');
  const log = openSync(options.logFile, 'a');
  const logStart = fstatSync(log).size;
  try {
    const child = fork(options.entry, [], {
      env: {
        ...options.environment,
        [`${prefix}_PORT`]: String(port),
        [`${prefix}_METRICS_PORT`]: String(metricsPort),
      },
      execArgv: ['--enable-source-maps'],
      // A session of its own: Ctrl-C in the terminal reaches the command alone, which then drains in order. If the
      // command is killed, the services see their IPC channel close and drain by themselves.
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
    });
    return { child, logStart };
  } finally {
    closeSync(log);
  }
}

/** Resolves when the process says that it listens; never if it does not. */
export function readyMessage(child: ChildProcess): Promise<Ready> {
  return new Promise((resolve) => {
    child.on('message', (message: Partial<Ready>) => {
      if (message.kind === 'ready') resolve(message as Ready);
    });
  });
}

/** Resolves with `exit code 1` or `signal SIGKILL` when the process is gone. */
export function endOf(child: ChildProcess): Promise<string> {
  if (child.exitCode !== null || child.signalCode !== null)
    return Promise.resolve(endReason(child.exitCode, child.signalCode));
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(endReason(code, signal)));
    child.once('error', (error) => resolve(error.message));
  });
}

function endReason(code: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? `exit code ${code}` : `signal ${signal}`;
}

/** The port of `host:port`. */
export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

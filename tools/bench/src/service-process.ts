// One of our services as a process of its own: its bundle on free ports.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { KindredError } from '@kindred/errors';
import { serviceAddressVariable, type ServiceName } from '@kindred/service-runtime';

/** A service that listens. */
export interface ServiceProcess {
  readonly child: ChildProcess;
  /** `host:port` of gRPC. */
  readonly address: string;
}

/** Forks one service's bundle on free ports and waits until it listens; what it says goes to a log in `folder`. */
export async function startServiceProcess(
  bundles: string,
  folder: string,
  name: ServiceName,
  environment: NodeJS.ProcessEnv,
): Promise<ServiceProcess> {
  const bundle = join(bundles, name, 'main.js');
  if (!existsSync(bundle)) {
    throw new KindredError('FAILED_PRECONDITION', `service ${name} is not built: no ${bundle}; run 'npm run build'`);
  }
  const logFile = join(folder, `${name}.log`);
  const log = await open(logFile, 'a');
  const prefix = serviceAddressVariable(name).replace(/_ADDR$/, '');
  const child = fork(bundle, [], {
    env: { ...process.env, ...environment, [`${prefix}_PORT`]: '0', [`${prefix}_METRICS_PORT`]: '0' },
    execArgv: ['--enable-source-maps'],
    stdio: ['ignore', log.fd, log.fd, 'ipc'],
  });
  await log.close();
  const ready = once(child, 'message').then(([message]) => (message as { readonly address: string }).address);
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new KindredError('UNAVAILABLE', `service ${name} ended (${signal ?? `exit code ${code}`}); log: ${logFile}`);
  });
  ended.catch(() => {});
  return { child, address: await Promise.race([ready, ended]) };
}

/** Drains a service and waits for its end. */
export async function endServiceProcess({ child }: ServiceProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

// Our side of the suite `end-to-end`: the real services as processes of their own, asked for real runs over gRPC.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { KindredError } from '@kindred/errors';
import { TrainingServiceDefinition } from '@kindred/protocol/training';
import { connect, serviceAddressVariable, type ServiceName } from '@kindred/service-runtime';
import type { Contestant, RoundResult } from './contestant.js';
import { experimentOf } from './simclr-settings.js';

/** What the services work with. */
export interface TrainingServicesOptions {
  /** Folder of the built services, `dist/services`. */
  readonly bundles: string;
  /** Folder for artifacts and logs. */
  readonly folder: string;
  /** Folder with CIFAR-10's binary files. */
  readonly data: string;
  readonly width: number;
  readonly batch: number;
  readonly threads: number;
}

/** The first epoch builds the graph and warms caches; the second is measured. */
const epochs = 2;

/** Starts data-augmentation and trainer on free ports. A round is one run; its last epoch's training time counts. */
export async function startTrainingServices(options: TrainingServicesOptions): Promise<Contestant> {
  const { bundles, folder, data, width, batch, threads } = options;
  await mkdir(folder, { recursive: true });
  const children: ChildProcess[] = [];
  const close = async (): Promise<void> => {
    for (const child of children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
  };
  try {
    const start = async (name: ServiceName, environment: NodeJS.ProcessEnv): Promise<string> => {
      const { child, address } = await startService(bundles, folder, name, environment);
      children.push(child);
      return address;
    };
    const augmentation = await start('data-augmentation', { KINDRED_DATA_AUGMENTATION_ROOTS: data });
    const trainer = await start('trainer', {
      KINDRED_ARTIFACT_STORE: join(folder, 'artifacts'),
      KINDRED_TRAINER_THREADS: String(threads),
      [serviceAddressVariable('data-augmentation')]: augmentation,
    });
    const connection = connect(TrainingServiceDefinition, { service: 'trainer', address: trainer });
    let seed = 0n;
    return {
      versions: {},
      async round() {
        const experiment = experimentOf({ width, batch, epochs });
        const { run } = await connection.client.startRun({ experiment, dataRoot: data, seed: seed++ });
        return lastEpochOf(connection.client.watchRun({ runId: run?.runId ?? '', firstEvent: 0n }));
      },
      async close() {
        connection.close();
        await close();
      },
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

type RunEvents = ReturnType<ReturnType<typeof connect<typeof TrainingServiceDefinition>>['client']['watchRun']>;

/** The last epoch's time and pairs, once the run has ended. */
async function lastEpochOf(events: RunEvents): Promise<RoundResult> {
  let last: RoundResult | null = null;
  for await (const { content } of events) {
    const kind = content?.$case === 'event' ? content.value.kind : undefined;
    if (kind?.$case === 'epochCompleted') {
      const { seconds, pairsPerSecond } = kind.value;
      last = { seconds, items: seconds * pairsPerSecond, peakMiB: null };
    } else if (kind?.$case === 'ended' && kind.value.failure !== undefined) {
      throw new KindredError('INTERNAL', `the run failed: ${kind.value.failure.code}: ${kind.value.failure.message}`);
    }
  }
  if (last === null) throw new KindredError('INTERNAL', 'the run ended without an epoch');
  return last;
}

/** Forks one service's bundle on free ports and waits until it listens; what it says goes to a log in `folder`. */
async function startService(
  bundles: string,
  folder: string,
  name: ServiceName,
  environment: NodeJS.ProcessEnv,
): Promise<{ readonly child: ChildProcess; readonly address: string }> {
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

// Our side of the suite `end-to-end`: the real services as processes of their own, asked for real runs over gRPC.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { KindredError } from '@kindred/errors';
import { TrainingServiceDefinition } from '@kindred/protocol/training';
import { connect, serviceAddressVariable, type ServiceName } from '@kindred/service-runtime';
import type { Contestant, RoundResult } from './contestant.js';
import { endServiceProcess, startServiceProcess, type ServiceProcess } from './service-process.js';
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
  const processes: ServiceProcess[] = [];
  const close = async (): Promise<void> => {
    for (const process of processes.reverse()) await endServiceProcess(process);
  };
  try {
    const start = async (name: ServiceName, environment: NodeJS.ProcessEnv): Promise<string> => {
      const process = await startServiceProcess(bundles, folder, name, environment);
      processes.push(process);
      return process.address;
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

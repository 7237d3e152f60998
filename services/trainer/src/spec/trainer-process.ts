// The real trainer as a process of its own, run from source, for tests that kill it.
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { TrainingServiceDefinition } from '@kindred/protocol/training';
import { connect } from '@kindred/service-runtime';
import { forkProcess } from '@kindred/workers';

const loader = new URL('../../../../libs/workers/src/typescript-loader.mjs', import.meta.url).href;
const filename = fileURLToPath(new URL('../main.ts', import.meta.url));

/** Starts a trainer over `artifactStore`, with `environment` on top of what every test needs. */
export async function startTrainerProcess(artifactStore: string, augmentationAddress: string, environment = {}) {
  const child = forkProcess(
    { filename, execArgv: ['--import', loader] },
    {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: {
        ...process.env,
        KINDRED_TRAINER_PORT: '0',
        KINDRED_TRAINER_METRICS_PORT: '0',
        KINDRED_ARTIFACT_STORE: artifactStore,
        KINDRED_DATA_AUGMENTATION_ADDR: augmentationAddress,
        KINDRED_LOG_LEVEL: 'error',
        ...environment,
      },
    },
  );
  const [message] = (await once(child, 'message')) as [{ kind: string; address: string; message?: string }];
  if (message.kind !== 'ready') throw new Error(`the trainer did not start: ${message.message}`);
  const connection = connect(TrainingServiceDefinition, { service: 'trainer', address: message.address });
  return {
    client: connection.client,
    pid: child.pid ?? 0,
    /** Ends it as the kernel would: no farewell. */
    async kill(signal: NodeJS.Signals = 'SIGKILL') {
      connection.close();
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill(signal);
      await exited;
    },
  };
}

// A process of its own for tests of the drain: a training service whose every answer takes a moment.
import { setTimeout as delay } from 'node:timers/promises';
import { TrainingServiceDefinition } from '@kindred/protocol/training';
import { networkFields, readConfig, runMain, startService } from '../index.js';
import { trainingHandlers, trainingRoles } from './training-stand-in.js';

await runMain('trainer', async () => {
  const { schema, read } = networkFields('trainer');
  let served = 0;
  await startService({
    name: 'trainer',
    network: read(readConfig(process.env, schema)),
    register: (registrar) =>
      registrar.add(
        TrainingServiceDefinition,
        trainingHandlers({
          async getRun({ runId }) {
            await delay(30 + Math.random() * 40);
            served++;
            return { run: { runId } };
          },
        }),
        trainingRoles,
      ),
    onClose: () => void process.send?.({ kind: 'served', served }),
  });
});

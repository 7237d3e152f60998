// Calls that are refused for want of room: before their messages are read, with a time to come back, and only where it is asked for.
import { TrainingServiceDefinition } from '@kindred/protocol/training';
import { afterEach, expect, it } from 'vitest';
import { connect, openClient, startService, type Overload } from './index.js';
import { trainingHandlers } from './spec/training-stand-in.js';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

it('refuses calls for want of room without a word to their handlers', async () => {
  let full: Overload | null = null;
  const asked: string[] = [];
  const handled: string[] = [];
  const service = await startService({
    name: 'trainer',
    network: { host: '127.0.0.1', port: 0, metricsPort: 0, drainMs: 100, maxConnectionAgeMs: 0 },
    register: (registrar) =>
      registrar.add(
        TrainingServiceDefinition,
        trainingHandlers({
          getRun: async ({ runId }) => {
            handled.push(runId ?? '');
            return { run: { runId } };
          },
        }),
      ),
    overloaded(path) {
      asked.push(path);
      return full;
    },
  });
  const { client, close } = connect(TrainingServiceDefinition, {
    service: 'trainer',
    address: service.address,
    security: openClient,
  });
  open.push(service, { close });
  await client.getRun({ runId: 'first' });
  full = { text: 'nothing fits', retryAfterMs: 1230 };
  // Twice: what is sent is made once.
  for (let i = 0; i < 2; i++) {
    await expect(client.getRun({ runId: 'refused' })).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: 'nothing fits',
      retryAfterMs: 1240,
    });
  }
  const metrics = await (await fetch(`http://${service.metricsAddress}/metrics`)).text();
  expect(metrics).toMatch(/kindred_server_refused_calls_total\{[^}]*grpc_method="GetRun",reason="OVERLOADED"\} 2/);
  full = null;
  await client.getRun({ runId: 'last' });
  expect(handled).toEqual(['first', 'last']);
  expect(new Set(asked)).toEqual(new Set(['/kindred.training.v1.TrainingService/GetRun']));
});

// Replicas behind one name, as a headless Service of Kubernetes gives them: all are used, and those that come later are found.
import { promises as dns } from 'node:dns';
import { TrainingServiceDefinition } from '@kindred/protocol/training';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { connect, createLogger, createPeerPolicy, openClient, startService, type RunningService } from './index.js';
import { trainingHandlers } from './spec/training-stand-in.js';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const thing of open.splice(0).reverse()) await thing.close();
});

/** A replica that answers with its own address. */
async function replica(host: string, port = 0): Promise<RunningService> {
  const service = await startService({
    name: 'trainer',
    network: { host, port, metricsPort: 0, drainMs: 500, maxConnectionAgeMs: 0 },
    logger: createLogger('trainer', 'silent'),
    register: (registrar) =>
      registrar.add(TrainingServiceDefinition, trainingHandlers({ getRun: async () => ({ run: { runId: host } }) })),
  });
  open.push(service);
  return service;
}

/** Lets the name `trainer.kindred` stand for the addresses that `hosts` has at the time. */
function nameFor(hosts: string[]): void {
  vi.spyOn(dns, 'lookup').mockImplementation((async () =>
    hosts.map((address) => ({ address, family: 4 }))) as unknown as typeof dns.lookup);
}

function clientOf(address: string) {
  const connection = connect(TrainingServiceDefinition, { service: 'trainer', address, security: openClient });
  open.push(connection);
  return connection.client;
}

describe('dns:///name', () => {
  it('stands for all replicas, which take turns', async () => {
    const first = await replica('127.0.0.1');
    const port = Number(first.address.split(':')[1]);
    await replica('127.0.0.2', port);
    nameFor(['127.0.0.1', '127.0.0.2']);
    const client = clientOf(`dns:///trainer.kindred:${port}`);
    const answered = async () => (await client.getRun({})).run?.runId ?? '';
    // The second connection is made while the first already answers.
    for (const waiting = new Set(['127.0.0.1', '127.0.0.2']); waiting.size > 0;) waiting.delete(await answered());
    const counts: Record<string, number> = {};
    for (let i = 0; i < 40; i++) {
      const host = await answered();
      counts[host] = (counts[host] ?? 0) + 1;
    }
    expect(counts).toEqual({ '127.0.0.1': 20, '127.0.0.2': 20 });
  });

  it('is asked for again when its replicas are gone', async () => {
    const first = await replica('127.0.0.1');
    const port = Number(first.address.split(':')[1]);
    const hosts = ['127.0.0.1'];
    nameFor(hosts);
    const client = clientOf(`dns:///trainer.kindred:${port}`);
    const policy = createPeerPolicy({ service: 'trainer', maxAttempts: 100, breakAfter: 1000, maxPauseMs: 500 });
    const answered = () => policy.call(async () => (await client.getRun({})).run?.runId);
    expect(await answered()).toBe('127.0.0.1');
    await replica('127.0.0.2', port);
    hosts.splice(0, 1, '127.0.0.2');
    await first.close();
    expect(await answered()).toBe('127.0.0.2');
  });
});

import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { KindredError, invalidField } from '@kindred/errors';
import { TrainingServiceDefinition, type TrainingServiceImplementation } from '@kindred/protocol/training';
import { createChannel, createClient } from 'nice-grpc';
import { HealthDefinition } from 'nice-grpc-server-health';
import { ServerReflectionService } from 'nice-grpc-server-reflection';
import reflection from 'nice-grpc-server-reflection/lib/proto/grpc/reflection/v1/reflection_pb.js';
import { afterEach, describe, expect, it } from 'vitest';
import { connect, createLogger, startService, type RunningService } from './index.js';
import { trainingHandlers } from './spec/training-stand-in.js';

const network = { host: '127.0.0.1', port: 0, metricsPort: 0, drainMs: 2_000, maxConnectionAgeMs: 0 };

/** Asks as grpcurl's `list` does. */
async function reflectedServices(
  channel: ReturnType<typeof createChannel>,
  version: 'v1' | 'v1alpha',
): Promise<string[]> {
  const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
  const definition = { serverReflectionInfo: { ...ServerReflectionService.serverReflectionInfo, path } } as const;
  async function* ask() {
    yield new reflection.ServerReflectionRequest().setListServices('*');
  }
  const names: string[] = [];
  for await (const answer of createClient(definition, channel).serverReflectionInfo(ask())) {
    names.push(...(answer.getListServicesResponse()?.getServiceList() ?? []).map((service) => service.getName()));
  }
  return names;
}

/** `SERVING` of grpc.health.v1. */
const serving = 1;

describe('service', () => {
  const open: { close(): unknown }[] = [];
  afterEach(async () => {
    for (const thing of open.splice(0).reverse()) await thing.close();
  });
  const start = async (
    own: Partial<TrainingServiceImplementation>,
    onDrain = (): void => {},
  ): Promise<RunningService> => {
    const service = await startService({
      name: 'trainer',
      network,
      logger: createLogger('trainer', 'silent'),
      register: (registrar) => registrar.add(TrainingServiceDefinition, trainingHandlers(own)),
      onDrain,
    });
    open.push(service);
    return service;
  };
  const clientOf = (address: string) => {
    const connection = connect(TrainingServiceDefinition, { service: 'trainer', address });
    open.push(connection);
    return connection.client;
  };

  it('carries code, fields and resource of an error to the caller', async () => {
    const service = await start({
      getRun: () => Promise.reject(invalidField('run_id', 'got X; allowed: y')),
      resumeRun: () =>
        Promise.reject(
          new KindredError('RESOURCE_EXHAUSTED', 'full', { retryAfterMs: 1500, resource: { type: 'run', name: 'r' } }),
        ),
    });
    const client = clientOf(service.address);
    await expect(client.getRun({ runId: 'X' })).rejects.toMatchObject({
      name: 'KindredError',
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'run_id', description: 'got X; allowed: y' }],
    });
    await expect(client.resumeRun({})).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      retryAfterMs: 1500,
      resource: { type: 'run', name: 'r' },
    });
  });

  it('keeps the text of a fault of ours to itself', async () => {
    const service = await start({ getRun: () => Promise.reject(new TypeError('secret path /etc/x')) });
    await expect(clientOf(service.address).getRun({})).rejects.toMatchObject({
      code: 'INTERNAL',
      message: 'internal error',
    });
  });

  it('names the service that does not answer', async () => {
    const service = await start({});
    await service.close();
    await expect(clientOf(service.address).getRun({})).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      resource: { type: 'service', name: 'trainer' },
    });
  });

  it('says that a port is in use', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    open.push(other);
    const { port } = other.address() as AddressInfo;
    const starting = startService({
      name: 'trainer',
      network: { ...network, port },
      logger: createLogger('trainer', 'silent'),
      register: () => {},
    });
    await expect(starting).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining(`port ${port}`) as string,
    });
  });

  it('answers health, reflection, metrics and liveness', async () => {
    const service = await start({});
    const channel = createChannel(service.address);
    open.push(channel);
    const health = createClient(HealthDefinition, channel);
    for (const name of ['', 'kindred.training.v1.TrainingService']) {
      expect((await health.check({ service: name })).status).toBe(serving);
    }
    for (const version of ['v1', 'v1alpha'] as const)
      expect(await reflectedServices(channel, version)).toContain('kindred.training.v1.TrainingService');
    await clientOf(service.address)
      .getRun({})
      .catch(() => {});
    const metrics = await (await fetch(`http://${service.metricsAddress}/metrics`)).text();
    expect(metrics).toMatch(/grpc_server_handled_total\{[^}]*TrainingService[^}]*\} [1-9]/);
    expect((await fetch(`http://${service.metricsAddress}/healthz`)).status).toBe(200);
  });

  it('finishes calls under way before it ends', async () => {
    let release = (): void => {};
    let begin = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const begun = new Promise<void>((resolve) => (begin = resolve));
    const service = await start({
      getRun: async () => {
        begin();
        await held;
        return { run: { runId: 'r1' } };
      },
    });
    const answer = clientOf(service.address).getRun({ runId: 'r1' });
    await begun;
    const closing = service.close();
    setTimeout(release, 100);
    expect((await answer).run?.runId).toBe('r1');
    await closing;
  });
});

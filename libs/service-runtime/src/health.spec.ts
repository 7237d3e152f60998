import { afterEach, describe, expect, it } from 'vitest';
import { HealthDefinition, connect, createHealthBoard, createLogger, openClient, startService } from './index.js';

const [unknown, serving, notServing] = [3, 1, 2];
const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

async function start(ready?: Promise<void>) {
  const health = createHealthBoard();
  health.set('models/early', true);
  const service = await startService({
    name: 'embedding',
    network: { host: '127.0.0.1', port: 0, metricsPort: 0, drainMs: 500, maxConnectionAgeMs: 0 },
    logger: createLogger('embedding', 'silent'),
    register: () => {},
    health,
    ready,
  });
  const connection = connect(HealthDefinition, {
    service: 'embedding',
    address: service.address,
    security: openClient,
  });
  open.push(service, connection);
  const check = async (name: string) => (await connection.client.check({ service: name })).status;
  return { health, service, client: connection.client, check };
}

describe('health', () => {
  it('has a name for each thing that the service holds, and none of what it has let go', async () => {
    const { health, check } = await start();
    expect(await check('models/early')).toBe(serving);
    health.set('models/late', false);
    expect(await check('models/late')).toBe(notServing);
    health.set('models/late', true);
    expect(await check('models/late')).toBe(serving);
    health.remove('models/late');
    await expect(check('models/late')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is NOT_SERVING for all names until the process is ready, and when it ends', async () => {
    let becomeReady: () => void = () => {};
    const { service, client, check } = await start(new Promise((resolve) => (becomeReady = resolve)));
    for (const name of ['', 'models/early']) expect(await check(name)).toBe(notServing);
    const seen: number[] = [];
    const watched = (async () => {
      for await (const { status } of client.watch({ service: 'models/early' })) {
        seen.push(status);
        if (status === serving) void service.close();
      }
    })();
    while (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    becomeReady();
    await expect(watched).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(seen.slice(0, 2)).toEqual([notServing, serving]);
  });

  it('is told over HTTP, too: the process is ready at /readyz, and lives at /healthz before that', async () => {
    let becomeReady: () => void = () => {};
    const { service, client } = await start(new Promise((resolve) => (becomeReady = resolve)));
    const statusAt = async (path: string) => (await fetch(`http://${service.metricsAddress}${path}`)).status;
    expect([await statusAt('/readyz'), await statusAt('/healthz')]).toEqual([503, 200]);
    becomeReady();
    for await (const { status } of client.watch({ service: '' })) if (status === serving) break;
    expect([await statusAt('/readyz'), await statusAt('/healthz')]).toEqual([200, 200]);
  });

  it('tells a watcher of a name that is not known yet, and of the last that becomes of it', async () => {
    const { health, client } = await start();
    const states = client.watch({ service: 'models/later' })[Symbol.asyncIterator]();
    expect((await states.next()).value).toMatchObject({ status: unknown });
    // Together, so that the second comes while the first is on its way.
    health.set('models/later', true);
    health.set('models/later', false);
    const after = [(await states.next()).value?.status];
    if (after[0] === serving) after.push((await states.next()).value?.status);
    expect(after.at(-1)).toBe(notServing);
    await states.return?.();
  });
});

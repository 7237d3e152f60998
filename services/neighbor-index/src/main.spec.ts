// The real process: what it acknowledged survives SIGKILL, its health answers while it searches, bad settings end it.
import { NeighborIndexServiceDefinition } from '@kindred/protocol/neighbors';
import { bytesOf, connect } from '@kindred/service-runtime';
import { temporaryFolder } from '@kindred/testing';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const folder = temporaryFolder('neighbor-index-process');
const children: ChildProcess[] = [];

function launch(environment: Record<string, string> = {}): ChildProcess {
  const child = spawn(process.execPath, ['--import', 'tsx', main], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: {
      ...process.env,
      KINDRED_NEIGHBOR_INDEX_PORT: '0',
      KINDRED_NEIGHBOR_INDEX_METRICS_PORT: '0',
      KINDRED_ARTIFACT_STORE: folder,
      KINDRED_NEIGHBOR_INDEX_DATA: join(folder, 'data'),
      ...environment,
    },
  });
  children.push(child);
  return child;
}

async function start() {
  const child = launch();
  const [{ address, metricsAddress }] = (await once(child, 'message')) as [{ address: string; metricsAddress: string }];
  const { client, close } = connect(NeighborIndexServiceDefinition, { service: 'neighbor-index', address });
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    const exit = once(child, 'exit');
    child.kill(signal);
    const [code] = (await exit) as [number | null];
    close();
    return code;
  };
  return { client, metricsAddress, end };
}

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

it('has all that it acknowledged, and nothing else, after SIGKILL', async () => {
  const [collection, dimension, count] = ['kept', 64, 2000];
  const vectors = Float32Array.from({ length: count * dimension }, (_, i) => Math.sin(i));
  const ids = bytesOf(BigUint64Array.from({ length: count }, (_, i) => BigInt(i)));
  const ask = { collection, queries: bytesOf(vectors.slice(0, 10 * dimension)), k: 10 };

  const first = await start();
  await first.client.createCollection({ collection, config: { dimension } });
  await first.client.upsert(
    (async function* () {
      yield { collection, ids, vectors: bytesOf(vectors) };
    })(),
  );
  const before = await first.client.search(ask);
  const unfinished = first.client.upsert(
    (async function* () {
      yield { collection, ids: bytesOf(BigUint64Array.of(1_000_000n)), vectors: bytesOf(vectors.slice(0, dimension)) };
      await new Promise((resolve) => setTimeout(resolve, 5_000));
    })(),
  );
  const failure = expect(unfinished).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await new Promise((resolve) => setTimeout(resolve, 100));
  await first.end('SIGKILL');
  await failure;

  const second = await start();
  expect((await second.client.getCollection({ collection })).collection?.size).toBe(BigInt(count));
  expect(await second.client.search(ask)).toEqual(before);
  expect(await second.end('SIGTERM')).toBe(0);
});

it('answers for its health while it searches', async () => {
  const [collection, dimension, count] = ['busy', 256, 20_000];
  const vectors = Float32Array.from({ length: count * dimension }, (_, i) => Math.sin(i));
  const { client, metricsAddress, end } = await start();
  await client.createCollection({ collection, config: { dimension } });
  await client.upsert(
    (async function* () {
      const ids = BigUint64Array.from({ length: count }, (_, i) => BigInt(i));
      yield { collection, ids: bytesOf(ids), vectors: bytesOf(vectors) };
    })(),
  );
  let running = true;
  const queries = bytesOf(vectors.slice(0, 4096 * dimension));
  const search = client.search({ collection, queries, k: 10 }).finally(() => (running = false));
  let answers = 0;
  for (; running; answers++) expect((await fetch(`http://${metricsAddress}/healthz`)).status).toBe(200);
  await search;
  expect(answers).toBeGreaterThan(3);
  await end('SIGTERM');
});

it.runIf(process.platform === 'linux')('leaves the data folder of another process alone, and ends', async () => {
  const first = await start();
  const second = launch();
  let log = '';
  second.stderr?.on('data', (text) => (log += text));
  const [code] = (await once(second, 'close')) as [number];
  expect(code).toBe(1);
  expect(log).toContain(`another process uses the data folder ${join(folder, 'data')}`);
  await first.client.listCollections({});
  expect(await first.end('SIGTERM')).toBe(0);
});

it('names a setting that cannot be used, and ends', async () => {
  const child = launch({ KINDRED_NEIGHBOR_INDEX_MAX_VECTORS: 'many' });
  let log = '';
  child.stderr?.on('data', (text) => (log += text));
  const [code] = (await once(child, 'close')) as [number];
  expect(code).toBe(1);
  expect(log).toContain("KINDRED_NEIGHBOR_INDEX_MAX_VECTORS is 'many'");
});

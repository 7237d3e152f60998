// Weaviate as components/weaviate runs it: three nodes, each in a network, a root and under a user like its pod's, with exactly the manifest's
// environment, arguments and ports; neighbor-index beside them with the variables of its patch. What is not seen: the image, and a kubelet.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '@kindred/control-plane';
import {
  checkoutRoot,
  manifestsFolder,
  moduleFolder,
  podTemplateOf,
  readFolder,
  type PodTemplate,
} from '@kindred/manifests';
import { Engine } from '@kindred/protocol/neighbors';
import { goProgram, temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canMakeNetworks, openPodNetwork, startPod, type PodNetwork } from './manifest-pods.js';
import { connectNeighbors, part, range, stream, wholeVectors } from './neighbor-requests.js';

const binary = await goProgram('weaviate');
if (!canMakeNetworks)
  process.stderr.write(
    '\n!!! SKIPPED: pods of Weaviate: no right to make networks (root, unshare, ip, nsenter, setpriv)\n\n',
  );

const files = readFolder(join(manifestsFolder, 'components/weaviate'));
const template = (file: string): PodTemplate =>
  podTemplateOf(files.get(file)!.find(({ kind }) => kind === 'StatefulSet')!)!;
const weaviate = template('weaviate.yaml');
const own = new Map(
  (template('neighbor-index.yaml').spec.containers[0].env as { name: string; value: string }[]).map(
    ({ name, value }) => [name, value],
  ),
);
const nodes = ['weaviate-0', 'weaviate-1', 'weaviate-2'];
const secrets = { 'weaviate-credentials/api-key': 'a key', 'weaviate-credentials/cluster-password': 'a password' };

describe('the environment of Weaviate', () => {
  it('is one that this version reads', async () => {
    const image = weaviate.spec.containers[0].image as string;
    const version = image.slice(image.lastIndexOf(':') + 1);
    expect(binary ?? `v${version}`).toContain(`v${version}`);
    const folder = await moduleFolder(`github.com/weaviate/weaviate@v${version}`);
    const sources = ['usecases/config', 'adapters/handlers/rest', 'cluster', 'entities/config']
      .flatMap((path) =>
        readdirSync(join(folder, path), { recursive: true, encoding: 'utf8' })
          .filter((file) => file.endsWith('.go') && !file.endsWith('_test.go'))
          .map((file) => readFileSync(join(folder, path, file), 'utf8')),
      )
      .join('\n');
    const names = (weaviate.spec.containers[0].env as { name: string }[]).map(({ name }) => name);
    expect(names.length).toBeGreaterThan(20);
    for (const name of names) expect(sources.includes(`"${name}"`), name).toBe(true);
    expect(sources.includes('"CLUSTER_JOINN"')).toBe(false);
  });
});

describe.skipIf(binary === null || !canMakeNetworks)('the pods of Weaviate', () => {
  const folder = temporaryFolder('kindred-pods');
  const addresses = new Map(nodes.map((name, place) => [name, `10.77.0.${place + 10}`]));
  const pods = new Map<string, ChildProcess>();
  let network: PodNetwork;
  let index: ChildProcess;
  let connection: ReturnType<typeof connectNeighbors>;
  let door: string;

  /** As the headless Service has them. */
  const publish = (): void =>
    network.name({
      weaviate: [...addresses.values()],
      ...Object.fromEntries([...addresses].map(([name, address]) => [`${name}.weaviate`, [address]])),
    });
  const start = (name: string): void => {
    const facts = { name, secrets, resources: { 'limits.cpu': weaviate.spec.containers[0].resources.limits.cpu } };
    pods.set(name, startPod(network, weaviate, facts, { folder: join(folder, name), program: binary ?? '' }));
  };
  const end = async (name: string): Promise<void> => {
    const pod = pods.get(name)!;
    const gone = once(pod, 'exit');
    pod.kill('SIGTERM');
    await gone;
  };
  /** As the kubelet asks. */
  const isReady = async (name: string): Promise<boolean> => {
    const { path, port } = weaviate.spec.containers[0].readinessProbe.httpGet as { path: string; port: string };
    const ports = weaviate.spec.containers[0].ports as { name: string; containerPort: number }[];
    const { containerPort } = ports.find((one) => one.name === port)!;
    const url = `http://127.0.0.1:${containerPort}${path}`;
    const script = `fetch(${JSON.stringify(url)}).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))`;
    const [code] = await once(network.run(name, [process.execPath, '-e', script], {}), 'exit');
    return code === 0;
  };
  const untilReady = (name: string): Promise<void> => until(() => isReady(name), `${name} is ready`);

  beforeAll(async () => {
    network = await openPodNetwork(join(folder, 'network'), [...nodes, 'neighbor-index']);
    for (const [name, address] of addresses) await network.move(name, address);
    await network.move('neighbor-index', '10.77.0.40');
    publish();
    // All at once, as `podManagementPolicy: Parallel` has it.
    for (const name of nodes) start(name);
    for (const name of nodes) await untilReady(name);
    mkdirSync(join(folder, 'secret'));
    writeFileSync(join(folder, 'secret/api-key'), `${secrets['weaviate-credentials/api-key']}\n`);
    index = network.run(
      'neighbor-index',
      [process.execPath, join(checkoutRoot, 'dist/services/neighbor-index/main.js')],
      {
        PATH: process.env['PATH'],
        KINDRED_LOG_LEVEL: 'error',
        KINDRED_NEIGHBOR_INDEX_DATA: join(folder, 'collections'),
        KINDRED_ARTIFACT_STORE: join(folder, 'artifacts'),
        ...Object.fromEntries(own),
        KINDRED_NEIGHBOR_INDEX_WEAVIATE_KEY_FILE: join(folder, 'secret/api-key'),
      },
    );
    door = await network.door('neighbor-index', 50054);
    connection = connectNeighbors(door);
    const answers = (): Promise<boolean> =>
      connection.client.getInfo({}).then(
        () => true,
        () => false,
      );
    await until(answers, 'neighbor-index answers');
  }, 300_000);
  afterAll(async () => {
    connection?.close();
    for (const child of [index, ...pods.values()]) child?.kill('SIGKILL');
    await network?.close();
  });

  const [count, dimension] = [500, 16];
  const config = { engine: Engine.WEAVIATE, dimension, index: { $case: 'flat' as const, value: {} } };
  const sizes = async (): Promise<bigint> => (await connection.client.count({ collection: 'faces' })).count;

  it('find each other by the names that a cluster gives them, and keep each collection three times', async () => {
    await connection.client.createCollection({ collection: 'faces', config });
    await connection.client.upsert(stream(part('faces', range(count), wholeVectors(count, dimension, 5))));
    expect(await sizes()).toBe(BigInt(count));
    const stats = await connection.client.getStats({ collection: 'faces' });
    for (const name of nodes)
      expect(stats.nodes.filter((line) => line.includes(name) && line.includes('HEALTHY'))).toHaveLength(1);
  });

  /** Whether a node's own copy has so many objects. */
  const hasOfItsOwn = async (name: string, objects: number): Promise<boolean> => {
    const request = `fetch('http://${name}.weaviate:8080/v1/objects?class=Kindred_faces&limit=1000',
      { headers: { authorization: 'Bearer ${secrets['weaviate-credentials/api-key']}' } })`;
    const script = `${request}.then((answer) => answer.json())
      .then(({ objects }) => process.exit(objects.length === ${objects} ? 0 : 1))`;
    const [code] = await once(network.run('neighbor-index', [process.execPath, '-e', script], {}), 'exit');
    return code === 0;
  };

  it('answer nobody without the key', async () => {
    const script = `fetch('http://weaviate-0.weaviate:8080/v1/schema').then(({ status }) => process.exit(status - 300))`;
    const [code] = await once(network.run('neighbor-index', [process.execPath, '-e', script], {}), 'exit');
    expect(code).toBe(401 - 300);
  });

  it('tell Prometheus what they do', async () => {
    const script = `fetch('http://weaviate-1.weaviate:2112/metrics').then((answer) => answer.text())
      .then((text) => process.exit(/^go_goroutines /m.test(text) && /weaviate_/.test(text) ? 0 : 1))`;
    const [code] = await once(network.run('neighbor-index', [process.execPath, '-e', script], {}), 'exit');
    expect(code).toBe(0);
  });

  it(
    'are replaced one after another, each with another address, and nothing is lost',
    { timeout: 600_000 },
    async () => {
      for (const [place, name] of nodes.entries()) {
        await end(name);
        addresses.set(name, `10.77.0.${place + 20}`);
        await network.move(name, addresses.get(name)!);
        publish();
        // A write while it is away.
        await connection.client.upsert(
          stream(part('faces', range(10, count + place * 10), wholeVectors(10, dimension, place))),
        );
        start(name);
        await untilReady(name);
        // What `minReadySeconds` gives it time for, before the next one goes.
        await until(() => hasOfItsOwn(name, count + (place + 1) * 10), `${name} has what it missed`, 180_000);
        expect(await sizes()).toBe(BigInt(count + (place + 1) * 10));
      }
      const { results } = await connection.client.search({
        collection: 'faces',
        query: [...wholeVectors(1, dimension, 5)],
        k: 1000,
      });
      expect(new Set(results[0]!.neighbors.map(({ id }) => id)).size).toBe(count + nodes.length * 10);
      const stats = await connection.client.getStats({ collection: 'faces' });
      expect(stats.nodes.filter((line) => line.includes('HEALTHY'))).toHaveLength(3);
    },
  );
});

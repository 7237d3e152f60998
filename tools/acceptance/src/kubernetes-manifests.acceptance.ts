// The manifests of deploy/kubernetes before a real API server, scheduler and controllers; kwok plays the kubelets, so that pods are
// ready without a container that runs.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { controlPlanePrograms, startControlPlane, until, type ControlPlane } from '@kindred/control-plane';
import {
  customResources,
  kubernetesApi,
  parseManifests,
  schemaFilePattern,
  writeSchemas,
  type CustomResource,
} from '@kindred/manifests';
import { goProgram, temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  byName,
  clear,
  furnish,
  isReady,
  kubectl,
  podsOf,
  settle,
  stateOf,
  watchReady,
  whyPending,
  type Pod,
} from './manifest-cluster.js';
import { buildManifests, documented, overlays, requestsOf, variants } from './manifest-variants.js';

const run = promisify(execFile);
const kustomize = await goProgram('kustomize');
const kubeconform = await goProgram('kubeconform');
const kubeScore = await goProgram('kube-score');
const programs = await controlPlanePrograms();
const missing = [kustomize, kubeconform, kubeScore, programs].includes(null);
const names = [...overlays, ...Object.keys(variants), ...Object.keys(documented)];

describe.skipIf(missing)('manifests', () => {
  const folder = temporaryFolder('kindred-manifests');
  const schemas = join(folder, 'schemas');
  let definitions: CustomResource[];
  let plane: ControlPlane;
  const build = (name: string): Promise<string> => buildManifests(kustomize ?? '', name, folder);
  const evict = (pod: string): Promise<unknown> =>
    plane.api.create(`/api/v1/namespaces/kindred/pods/${pod}/eviction`, {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name: pod, namespace: 'kindred' },
    });
  const apply = async (name: string): Promise<void> => {
    await clear(plane);
    await kubectl(plane, ['apply', '--server-side', '-f', '-'], await build(name));
    await settle(plane);
  };

  beforeAll(async () => {
    definitions = await customResources();
    writeSchemas(schemas, await kubernetesApi(), definitions);
    plane = await startControlPlane({
      programs: programs!,
      nodes: [
        { name: 'cpu-1' },
        { name: 'cpu-2' },
        { name: 'gpu-1', gpus: 1, resources: { 'nvidia.com/mig-1g.10gb': '2' } },
        { name: 'gpu-2', gpus: 1, resources: { 'nvidia.com/mig-1g.10gb': '2' } },
      ],
    });
    await furnish(plane, definitions);
  }, 300_000);
  afterAll(() => plane?.close());

  describe.each(names)('%s', (name) => {
    it('is of kinds and fields that there are', async () => {
      const { stdout } = await run(kubeconform ?? '', [
        '-strict',
        '-summary',
        '-output=json',
        `-schema-location=${join(schemas, schemaFilePattern)}`,
        await fileOf(name),
      ]);
      const { summary } = JSON.parse(stdout) as { summary: Record<string, number> };
      expect(summary).toMatchObject({ invalid: 0, errors: 0, skipped: 0 });
      expect(summary['valid']).toBeGreaterThan(40);
    });

    it('leaves no finding of kube-score unanswered', async () => {
      const { stdout } = await run(kubeScore ?? '', [
        'score',
        '-o',
        'ci',
        '--kubernetes-version',
        'v1.34',
        await fileOf(name),
      ]).catch((thrown: { stdout: string }) => thrown);
      const lines = stdout.split('\n').filter((line) => line !== '');
      expect(lines.length).toBeGreaterThan(40);
      expect(lines.filter((line) => !/^\[(OK|SKIPPED)\]/.test(line))).toEqual([]);
    });

    it('is applied without a warning, and a second time without a change', async () => {
      const manifests = await build(name);
      await clear(plane);
      const { stderr } = await kubectl(plane, ['apply', '--server-side', '-f', '-'], manifests);
      expect(stderr).toBe('');
      await settle(plane);
      const before = await stateOf(plane, manifests);
      expect(before).toHaveLength(parseManifests(manifests).length);
      await kubectl(plane, ['apply', '--server-side', '-f', '-'], manifests);
      expect(await stateOf(plane, manifests)).toEqual(before);
    });
  });

  async function fileOf(name: string): Promise<string> {
    const file = join(folder, `${name.replaceAll(/[^a-z0-9]+/gi, '-')}.yaml`);
    writeFileSync(file, await build(name));
    return file;
  }

  it('are in docs/kubernetes.md for images, a store of yours, an identity and Weaviate', async () => {
    expect(Object.keys(documented)).toHaveLength(4);
    const of = (title: string): Promise<string> => build(`documented: ${title}`);
    const images = [...(await of('images')).matchAll(/^ *(?:- )?image: (\S+)$/gm)].map(([, image = '']) => image);
    expect(images.length).toBeGreaterThanOrEqual(5);
    for (const image of images) expect(image).toMatch(/^registry\.example\/kindred\//);
    const own = await of('an S3 server of yours');
    for (const words of ['endpoint=https://s3.example.internal:9000', 'AWS_CA_BUNDLE', 'cidr: 10.20.0.0/24'])
      expect(own).toContain(words);
    expect((await of('an identity')).match(/role-arn: arn:aws:iam/g)).toHaveLength(5);
  });

  it.each([
    ['local', 4, 8],
    ['gpu-single-node', 8, 16],
    ['gpu-cluster', 16, 32],
  ])('of %s fit, with a run, on the %i cores and %i GiB that docs/kubernetes.md says', async (name, cores, gib) => {
    const [cpu, memory] = requestsOf(parseManifests(await build(name)));
    expect(cpu).toBeGreaterThan(1.5);
    // What the cluster itself takes on a node: a core, and 3 GiB.
    expect(cpu).toBeLessThanOrEqual(cores - 1);
    expect(memory / 2 ** 30).toBeLessThanOrEqual(gib - 3);
  });

  it('are what the checks can fail: a field of nobody’s, and a pod that may do more', async () => {
    const manifests = (await build('local')).replaceAll('readOnlyRootFilesystem', 'readOnlyRoot');
    writeFileSync(join(folder, 'wrong.yaml'), manifests);
    const args = ['-strict', `-schema-location=${join(schemas, schemaFilePattern)}`, join(folder, 'wrong.yaml')];
    await expect(run(kubeconform ?? '', args)).rejects.toMatchObject({ code: 1 });
    const open = (await build('local')).replaceAll('runAsNonRoot: true', 'runAsNonRoot: false');
    const { stderr } = await kubectl(plane, ['apply', '--server-side', '--dry-run=server', '-f', '-'], open);
    expect(stderr).toContain('would violate PodSecurity "restricted');
  });

  it('put services on nodes without GPUs, and shares of GPUs on nodes that have them', async () => {
    for (const [name, resource] of [
      ['with time slices', 'nvidia.com/gpu'],
      ['with MIG', 'nvidia.com/mig-1g.10gb'],
    ] as const) {
      await apply(name);
      await until(
        async () => (await podsOf(plane, byName('embedding'))).filter(isReady).length === 2,
        'two of embedding',
      );
      const pods = (await podsOf(plane, 'app.kubernetes.io/part-of=kindred')).filter(isReady);
      const onGpus = pods.filter(({ spec }) => /^gpu-/.test(spec.nodeName ?? ''));
      const asking = pods.filter(({ spec }) =>
        spec.containers.some(({ resources }) => resources?.limits?.[resource] !== undefined),
      );
      expect(asking.map(({ metadata }) => metadata.labels['app.kubernetes.io/name'])).toEqual([
        'embedding',
        'embedding',
      ]);
      expect(podNames(onGpus)).toEqual(podNames(asking));
      expect(pods.length).toBeGreaterThanOrEqual(6);
    }
  });

  it('get devices by DRA, where a driver offers such as they claim', async () => {
    await apply('with DRA');
    await until(
      async () => (await podsOf(plane, byName('embedding'))).filter(isReady).length === 2,
      'two of embedding',
    );
    const pods = (await podsOf(plane, byName('embedding'))).filter(isReady);
    expect(pods.map(({ spec }) => spec.nodeName)).toEqual(['gpu-2', 'gpu-2']);
    const { stdout } = await kubectl(plane, ['get', 'resourceclaims', '-n', 'kindred', '-o', 'json']);
    const claims = (
      JSON.parse(stdout) as { items: { status?: { allocation?: { devices: { results: { pool: string }[] } } } }[] }
    ).items;
    const pools = claims.flatMap(({ status }) => status?.allocation?.devices.results.map(({ pool }) => pool) ?? []);
    expect(pools).toEqual(['gpu-2', 'gpu-2']);

    // Two of the four cards are left for runs, made from the template as the trainer makes them.
    const runs = ['run-1', 'run-2', 'run-3'];
    for (const name of runs)
      await kubectl(plane, ['create', 'job', name, '-n', 'kindred', '--from=cronjob/training-run']);
    const running = async (): Promise<Pod[]> =>
      (await podsOf(plane, byName('training-run'))).filter(({ status }) => status.phase === 'Running');
    await until(async () => (await running()).length === 2, 'two runs have a card');
    expect((await running()).map(({ spec }) => spec.nodeName)).toEqual(['gpu-2', 'gpu-2']);
    const waiting = (await podsOf(plane, byName('training-run'))).filter(({ status }) => status.phase === 'Pending');
    await until(
      async () => /cannot allocate all claims/.test(await whyPending(plane, waiting)),
      'the third waits for one',
    );
    expect(await running()).toHaveLength(2);
    const ended = (await running())[0]!.metadata.labels['batch.kubernetes.io/job-name']!;
    await kubectl(plane, ['delete', 'job', ended, '-n', 'kindred', '--timeout=60s']);
    await until(async () => (await running()).length === 2, 'the next run gets the card of the one that has ended');
    await kubectl(plane, ['delete', 'jobs', '--all', '-n', 'kindred', '--timeout=60s']);
  });

  it('put the nodes of Weaviate on three machines, and let go of one at a time', async () => {
    await plane.addNode({ name: 'cpu-3' });
    await apply('with Weaviate');
    const ready = async (): Promise<Pod[]> => (await podsOf(plane, byName('weaviate'))).filter(isReady);
    await until(async () => (await ready()).length === 3, 'three nodes of Weaviate', 120_000);
    const hosts = (await ready()).map(({ spec }) => spec.nodeName);
    expect(hosts.sort()).toEqual(['cpu-1', 'cpu-2', 'cpu-3']);
    // With one machine away there is no place for its node, and the budget keeps the other two.
    await kubectl(plane, ['cordon', 'cpu-3']);
    const [away, ...others] = (await ready()).sort(({ spec }) => (spec.nodeName === 'cpu-3' ? -1 : 1));
    await evict(away!.metadata.name);
    await until(async () => (await ready()).length === 2, 'one has left');
    await expect(evict(others[0]!.metadata.name)).rejects.toMatchObject({ status: 429 });
    await clear(plane);
    await kubectl(plane, ['delete', 'node', 'cpu-3']);
  });

  it.each(['embedding', 'data-augmentation'])(
    'never have fewer of %s than its minimum while it is rolled out anew',
    async (name) => {
      await apply('gpu-cluster');
      await until(async () => (await podsOf(plane, byName(name))).filter(isReady).length === 2, `two of ${name}`);
      const watched = await watchReady(plane, name);
      const old = new Set(podNames(await podsOf(plane, byName(name))));
      await kubectl(plane, ['set', 'image', '-n', 'kindred', `deployment/${name}`, `${name}=kindred/${name}:0.1.1`]);
      await kubectl(plane, ['rollout', 'status', '-n', 'kindred', `deployment/${name}`, '--timeout=120s']);
      await watched.stop();
      for (const pod of (await podsOf(plane, byName(name))).filter(isReady))
        expect(old).not.toContain(pod.metadata.name);
      // Both of the old were ready before; the third that came first shows that the watch saw the change.
      expect([watched.fewest(), watched.most()]).toEqual([2, 3]);
    },
  );

  it('keep their budgets while a node is drained', async () => {
    await apply('gpu-cluster');
    const services = ['embedding', 'data-augmentation'];
    for (const name of services)
      await until(async () => (await podsOf(plane, byName(name))).filter(isReady).length === 2, name);
    const watched = await Promise.all(services.map((name) => watchReady(plane, name)));
    const { stdout } = await kubectl(plane, ['drain', 'cpu-1', '--delete-emptydir-data', '--timeout=180s']);
    expect(stdout).toContain('drained');
    for (const name of services)
      await until(async () => (await podsOf(plane, byName(name))).filter(isReady).length === 2, name);
    for (const one of watched) await one.stop();
    for (const one of watched) expect(one.fewest()).toBeGreaterThanOrEqual(1);
    for (const pod of await podsOf(plane, 'app.kubernetes.io/part-of=kindred'))
      expect(pod.spec.nodeName).not.toBe('cpu-1');

    // Nowhere to go: the second eviction would leave nobody, and is refused.
    await kubectl(plane, ['cordon', 'cpu-2']);
    const [first, second] = podNames((await podsOf(plane, byName('embedding'))).filter(isReady));
    await evict(first!);
    await expect(evict(second!)).rejects.toMatchObject({ status: 429 });
    await kubectl(plane, ['uncordon', 'cpu-1', 'cpu-2']);
    await settle(plane);
  });

  it('let the trainer do what it must, in its own namespace, and nobody anything else', async () => {
    const may = async (account: string, verb: string, resource: string, namespace = 'kindred'): Promise<boolean> => {
      const as = `--as=system:serviceaccount:kindred:${account}`;
      // `pods/log` would be the pod of that name.
      const [kind, part] = resource.split(':') as [string, string?];
      const asked = part === undefined ? [kind] : [kind, `--subresource=${part}`];
      return (await plane.kubectl(['auth', 'can-i', verb, ...asked, '-n', namespace, as])).stdout.trim() === 'yes';
    };
    for (const verb of ['create', 'get', 'list', 'watch', 'delete'])
      expect(await may('trainer', verb, 'jobs'), verb).toBe(true);
    expect(await may('trainer', 'get', 'pods:log')).toBe(true);
    expect(await may('trainer', 'get', 'cronjobs/training-run')).toBe(true);
    expect(await may('trainer', 'watch', 'events')).toBe(true);
    for (const verb of ['get', 'update']) expect(await may('trainer', verb, 'leases/trainer'), verb).toBe(true);
    for (const [verb, resource] of [
      ['get', 'secrets'],
      ['get', 'pods'],
      ['update', 'leases/another'],
      ['delete', 'leases/trainer'],
      ['create', 'pods'],
      ['delete', 'pods'],
      ['create', 'pods:exec'],
      ['patch', 'deployments'],
      ['update', 'cronjobs'],
      ['escalate', 'roles'],
    ] as const)
      expect(await may('trainer', verb, resource), `${verb} ${resource}`).toBe(false);
    expect(await may('trainer', 'create', 'jobs', 'default')).toBe(false);
    for (const account of ['training-run', 'embedding', 'neighbor-index', 'data-augmentation'])
      expect(await may(account, 'get', 'pods'), account).toBe(false);
  });
});

function podNames(pods: readonly Pod[]): string[] {
  return pods.map(({ metadata }) => metadata.name).sort();
}

// What every workload of the base promises, read from the files: who it runs as, when it is ready, what it takes, how it ends.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { serviceAddressVariable, services, type ServiceName } from '@kindred/service-runtime';
import { describe, expect, it } from 'vitest';
import { checkoutRoot, manifestsFolder, podTemplateOf, readFolder, type Manifest } from './manifest-files.js';
import { quantity } from './quantities.js';

const base = [...readFolder(join(manifestsFolder, 'base')).values()].flat();
const minio = [...readFolder(join(manifestsFolder, 'components/minio')).values()].flat();
const all = [...base, ...minio];
const workloads = all.filter((manifest) => podTemplateOf(manifest) !== null);
const names = Object.keys(services) as ServiceName[];
const version = (JSON.parse(readFileSync(join(checkoutRoot, 'package.json'), 'utf8')) as { version: string }).version;

const find = (kind: string, name: string): Manifest => {
  const found = all.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found;
};
const workloadOf = (name: string): Manifest => {
  const found = workloads.find((manifest) => manifest.metadata.name === name);
  if (found === undefined) throw new Error(`no workload ${name}`);
  return found;
};
const containerOf = (name: string) => podTemplateOf(workloadOf(name))?.spec.containers[0];
const environmentOf = (name: string): Map<string, string> =>
  new Map(
    (containerOf(name).env as { name: string; value?: string }[]).map(({ name: key, value = '' }) => [key, value]),
  );

describe('workloads', () => {
  it('are the four services, the template of runs, and MinIO', () => {
    expect(workloads.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort()).toEqual([
      'CronJob training-run',
      'Deployment data-augmentation',
      'Deployment embedding',
      'Deployment trainer',
      'StatefulSet minio',
      'StatefulSet neighbor-index',
    ]);
  });

  it.each(workloads.map((workload) => [workload.metadata.name, workload]))(
    '%s meets Pod Security `restricted`, with a root that nobody writes to',
    (_, workload) => {
      const { spec } = podTemplateOf(workload as Manifest)!;
      expect(spec.securityContext).toMatchObject({
        runAsNonRoot: true,
        runAsUser: expect.toSatisfy((uid: number) => uid >= 10_000),
        seccompProfile: { type: 'RuntimeDefault' },
      });
      for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
      }
      for (const volume of spec.volumes) expect(Object.keys(volume)).toEqual(['name', 'emptyDir']);
      for (const { emptyDir } of spec.volumes) expect(quantity(emptyDir.sizeLimit)).toBeGreaterThan(0);
    },
  );

  it.each(workloads.map((workload) => [workload.metadata.name, workload]))(
    '%s has an account of its own, a priority that exists, requests and limits',
    (name, workload) => {
      const { spec } = podTemplateOf(workload as Manifest)!;
      expect(spec.serviceAccountName).toBe(name);
      expect(find('ServiceAccount', name as string)['automountServiceAccountToken']).toBe(false);
      // Only the trainer talks to the API server.
      expect(spec.automountServiceAccountToken).toBe(name === 'trainer');
      find('PriorityClass', spec.priorityClassName);
      for (const { resources } of [...(spec.initContainers ?? []), ...spec.containers]) {
        for (const resource of ['cpu', 'memory', 'ephemeral-storage']) {
          const [request, limit] = [quantity(resources.requests[resource]), quantity(resources.limits[resource])];
          expect(request).toBeGreaterThan(0);
          expect(limit).toBeGreaterThanOrEqual(request);
        }
      }
    },
  );

  it.each(names)('%s listens where its callers look for it', (name) => {
    const { port, metricsPort } = services[name];
    const service = find('Service', name);
    expect(service.spec.clusterIP).toBe('None');
    expect(service.spec.ports).toEqual([
      { name: 'grpc', port, targetPort: 'grpc' },
      { name: 'metrics', port: metricsPort, targetPort: 'metrics' },
    ]);
    expect(containerOf(name).ports).toEqual([
      { name: 'grpc', containerPort: port },
      { name: 'metrics', containerPort: metricsPort },
    ]);
    expect(podTemplateOf(workloadOf(name))?.metadata?.labels).toMatchObject(service.spec.selector);
    expect(environmentOf(name).get(serviceAddressVariable(name).replace(/_ADDR$/, '_HOST'))).toBe('0.0.0.0');
  });

  it('name each other by addresses that all replicas stand behind', () => {
    let seen = 0;
    for (const name of [...names, 'training-run']) {
      for (const other of names) {
        const address = environmentOf(name).get(serviceAddressVariable(other));
        if (address === undefined) continue;
        seen++;
        expect(address).toBe(`dns:///${other}:${services[other].port}`);
      }
    }
    expect(seen).toBeGreaterThanOrEqual(5);
  });

  it.each(names)('%s is asked by gRPC whether it has started and is ready, and gets time for both', (name) => {
    const { startupProbe, readinessProbe, livenessProbe } = containerOf(name);
    expect(startupProbe.grpc).toEqual({ port: services[name].port });
    expect(readinessProbe.grpc).toEqual({ port: services[name].port });
    expect(livenessProbe.httpGet).toEqual({ path: '/healthz', port: 'metrics' });
    expect(startupProbe.periodSeconds * startupProbe.failureThreshold).toBeGreaterThanOrEqual(120);
  });

  it.each(names)('%s has longer to end than its calls may take', (name) => {
    const environment = environmentOf(name);
    const drainMs = Number(environment.get('KINDRED_DRAIN_DELAY_MS')) + Number(environment.get('KINDRED_DRAIN_MS'));
    expect(drainMs).toBeGreaterThan(0);
    const { terminationGracePeriodSeconds } = podTemplateOf(workloadOf(name))!.spec;
    expect(terminationGracePeriodSeconds * 1000).toBeGreaterThanOrEqual(drainMs + 20_000);
  });

  it.each([...names, 'minio'])('%s has a disruption budget that lets a node be drained', (name) => {
    const { spec } = find('PodDisruptionBudget', name);
    expect(spec.maxUnavailable).toBe(1);
    expect(spec.selector).toEqual(workloadOf(name).spec.selector);
  });

  it('have room for what they are told to keep in memory and on disk', () => {
    const limits = (name: string) => containerOf(name).resources.limits;
    const number = (name: string, variable: string) => Number(environmentOf(name).get(variable));
    // Threads beyond the limit would only be throttled; runs take the trainer's word for theirs.
    for (const [name, variable] of [
      ['data-augmentation', 'KINDRED_DATA_AUGMENTATION_THREADS'],
      ['embedding', 'KINDRED_EMBEDDING_THREADS'],
      ['embedding', 'KINDRED_EMBEDDING_MAX_DECODING'],
      ['neighbor-index', 'KINDRED_NEIGHBOR_INDEX_SEARCH_THREADS'],
    ] as const) {
      const set = containerOf(name).env.find((one: { name: string }) => one.name === variable);
      expect(set?.valueFrom, variable).toEqual({ resourceFieldRef: { resource: 'limits.cpu' } });
    }
    expect(number('trainer', 'KINDRED_TRAINER_THREADS')).toBe(quantity(limits('training-run').cpu));
    const memory = [
      number('data-augmentation', 'KINDRED_DATA_AUGMENTATION_CACHE_BYTES') /
        quantity(limits('data-augmentation').memory),
      number('embedding', 'KINDRED_EMBEDDING_MODEL_BYTES') / quantity(limits('embedding').memory),
      (number('neighbor-index', 'KINDRED_NEIGHBOR_INDEX_MAX_MEMORY_MIB') * 2 ** 20) /
        quantity(limits('neighbor-index').memory),
    ];
    for (const share of memory) {
      expect(share).toBeGreaterThan(0);
      expect(share).toBeLessThanOrEqual(0.75);
    }
    const [volume] = workloadOf('neighbor-index').spec.volumeClaimTemplates;
    expect(number('neighbor-index', 'KINDRED_NEIGHBOR_INDEX_MAX_DISK_MIB') * 2 ** 20).toBeLessThan(
      quantity(volume.spec.resources.requests.storage),
    );
    const shards = podTemplateOf(workloadOf('data-augmentation'))?.spec.volumes[0].emptyDir.sizeLimit;
    expect(number('data-augmentation', 'KINDRED_DATA_AUGMENTATION_SHARD_CACHE_BYTES')).toBeLessThan(quantity(shards));
  });

  it('are of this version', () => {
    for (const name of names) expect(containerOf(name).image).toBe(`kindred/${name}:${version}`);
    expect(containerOf('training-run').image).toBe(`kindred/trainer:${version}`);
  });

  it('of which several may run are replaced one by one, none before its successor is ready', () => {
    for (const name of ['data-augmentation', 'embedding']) {
      expect(workloadOf(name).spec.strategy.rollingUpdate).toEqual({ maxUnavailable: 0, maxSurge: 1 });
      const keys = podTemplateOf(workloadOf(name))?.spec.topologySpreadConstraints.map(
        ({ topologyKey }: { topologyKey: string }) => topologyKey,
      );
      expect(keys).toEqual(['kubernetes.io/hostname', 'topology.kubernetes.io/zone']);
    }
    // Two of these would work on the same state.
    expect(workloadOf('trainer').spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
    expect(workloadOf('neighbor-index').spec.replicas).toBe(1);
  });
});

describe('the template of runs', () => {
  it('never starts by itself', () => expect(workloadOf('training-run').spec.suspend).toBe(true));

  it('runs the program of the trainer’s image that is a run, and leaves the end of its Job to the trainer', () => {
    const { spec } = workloadOf('training-run').spec.jobTemplate;
    expect(containerOf('training-run').name).toBe('training');
    expect(containerOf('training-run').command.at(-1)).toBe('/app/dist/services/trainer/training-run.js');
    for (const field of ['podFailurePolicy', 'backoffLimit', 'activeDeadlineSeconds'])
      expect(spec[field]).toBeUndefined();
  });

  it('gives way to the services', () => {
    const value = (name: string) => find('PriorityClass', name)['value'] as number;
    const service = value('kindred-service');
    for (const run of ['kindred-training-high', 'kindred-training', 'kindred-training-low'])
      expect(value(run)).toBeLessThan(service);
  });
});

describe('the trainer’s Role', () => {
  it('is for runs in its own namespace and nothing more', () => {
    const rules = (find('Role', 'trainer')['rules'] as { resources: string[]; verbs: string[] }[]).map(
      ({ resources, verbs }) => `${resources.join()}: ${verbs.join()}`,
    );
    expect(rules).toEqual([
      'jobs: get,list,watch,create,delete',
      'cronjobs: get',
      'pods: list,watch',
      'pods/log: get',
      'events: list,watch',
      'leases: get,update',
      'leases: create',
    ]);
    expect(all.filter(({ kind }) => /^ClusterRole/.test(kind))).toEqual([]);
    expect(find('RoleBinding', 'trainer')['subjects']).toEqual([{ kind: 'ServiceAccount', name: 'trainer' }]);
  });
});

describe('files', () => {
  const folders = ['base', 'components', 'overlays'].flatMap((group) =>
    group === 'base' ? [group] : readdirSync(join(manifestsFolder, group)).map((name) => `${group}/${name}`),
  );
  it.each(folders)('of %s are all used by its kustomization', (folder) => {
    const path = join(manifestsFolder, folder);
    const text = readFileSync(join(path, 'kustomization.yaml'), 'utf8');
    const files = readdirSync(path).filter((name) => name.endsWith('.yaml') && name !== 'kustomization.yaml');
    for (const file of files) expect(text).toMatch(new RegExp(`^ *- (path: )?${file}$`, 'm'));
  });

  it('of every component are used by an overlay, or offered by one', () => {
    const overlays = readdirSync(join(manifestsFolder, 'overlays'))
      .map((name) => readFileSync(join(manifestsFolder, 'overlays', name, 'kustomization.yaml'), 'utf8'))
      .join('\n');
    for (const name of readdirSync(join(manifestsFolder, 'components'))) {
      if (name === 'keda') expect(overlays).toContain('or keda');
      else expect(overlays).toContain(`../../components/${name}`);
    }
  });
});

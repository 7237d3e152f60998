import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readExperiment } from '@kindred/experiment';
import type { JobState } from '@kindred/kubernetes-jobs';
import { describe, expect, it } from 'vitest';
import { isJobOf, jobManifest } from './job-manifest.js';
import { noResources } from './run-resources.js';
import type { RunResources, RunSpecification } from './run.js';

const text = readFileSync(join(import.meta.dirname, '../../../configs/pretext/simclr_cifar10.yml'), 'utf8');
const specification = (resources?: Partial<RunResources>, seed = '1'): RunSpecification => ({
  runId: 'r1',
  experiment: readExperiment({ text, overrides: {} }),
  dataRoot: '',
  seed,
  createTime: '2026-01-01T00:00:00.000Z',
  resources: resources === undefined ? undefined : { ...noResources, ...resources },
});
const template = {
  metadata: { labels: { team: 'a' } },
  spec: {
    template: {
      metadata: { labels: { team: 'a' } },
      spec: {
        containers: [
          { name: 'sidecar' },
          {
            name: 'training',
            env: [
              { name: 'KINDRED_ARTIFACT_STORE', value: 's3://b' },
              { name: 'KINDRED_TRAINER_THREADS', value: '99' },
            ],
            resources: { requests: { cpu: '2', memory: '4Gi' }, limits: { memory: '4Gi' } },
          },
        ],
        tolerations: [{ key: 'team', operator: 'Exists' }],
      },
    },
  },
};
const settings = { keepCheckpoints: 7, dataRetryMs: 8, storeRetryMs: 9 };
const make = (asked: RunSpecification, queue: string | null = null) =>
  jobManifest({
    template,
    specification: asked,
    tensorFlow: { intraOpThreads: 4, xla: true, tf32: false },
    queue,
    settings,
  });
const stateOf = (labels: Readonly<Record<string, string>>): JobState => ({
  name: 'r1',
  uid: 'u',
  labels,
  annotations: {},
  suspended: false,
  complete: false,
  failed: null,
  deleting: false,
});

describe("a run's Job", () => {
  it('is the template with what the run asks for', () => {
    const { spec } = make(specification({ accelerator: 'nvidia.com/gpu', acceleratorCount: 2, cpuMillis: 2500 }));
    const [sidecar, training] = spec.template.spec.containers;
    expect(sidecar).toEqual({ name: 'sidecar' });
    expect(training.args).toEqual(['r1']);
    expect(training.resources).toEqual({
      requests: { cpu: '2500m', memory: '4Gi', 'nvidia.com/gpu': '2' },
      limits: { cpu: '2500m', memory: '4Gi', 'nvidia.com/gpu': '2' },
    });
    const environment = new Map<string, unknown>(
      training.env.map(({ name, value }: Record<string, string>) => [name, value]),
    );
    expect(Object.fromEntries(environment)).toMatchObject({
      KINDRED_ARTIFACT_STORE: 's3://b',
      KINDRED_TRAINER_THREADS: '3',
      KINDRED_TRAINER_XLA: '1',
      KINDRED_TRAINER_TF32: '0',
      KINDRED_TRAINER_KEEP_CHECKPOINTS: '7',
      KINDRED_TRAINER_DATA_RETRY_MS: '8',
      KINDRED_TRAINER_STORE_RETRY_MS: '9',
    });
    expect(training.env.filter(({ name }: { name: string }) => name === 'KINDRED_TRAINER_THREADS')).toHaveLength(1);
    expect(spec.template.metadata.labels).toMatchObject({ team: 'a', 'kindred.dev/run': 'r1' });
    expect(template.spec.template.spec.tolerations).toHaveLength(1);
  });

  it("has the accelerator that the run names in place of the template's", () => {
    const withGpu = structuredClone(template);
    const resources = { memory: '4Gi', 'nvidia.com/gpu': '1' };
    Object.assign(withGpu.spec.template.spec.containers[1] ?? {}, { resources: { limits: resources } });
    const limitsOf = (asked: Partial<RunResources>): unknown => {
      const job = { template: withGpu, specification: specification(asked), tensorFlow: {}, queue: null, settings };
      return jobManifest(job).spec.template.spec.containers[1].resources.limits;
    };
    const slice = 'nvidia.com/mig-1g.10gb';
    expect(limitsOf({ accelerator: slice, acceleratorCount: 1 })).toEqual({ memory: '4Gi', [slice]: '1' });
    expect(limitsOf({})).toEqual(resources);
  });

  it('asks for no accelerator where the run says none, and may not go where they are', () => {
    const gpu = structuredClone(template) as { spec: { template: { spec: Record<string, unknown> } } };
    const pod = gpu.spec.template.spec;
    const resources = {
      claims: [{ name: 'gpu' }],
      requests: { cpu: '2' },
      limits: { cpu: '2', 'nvidia.com/gpu': '1' },
    };
    Object.assign(pod, {
      containers: [{ name: 'training', resources }],
      resourceClaims: [{ name: 'gpu', resourceClaimTemplateName: 'one-gpu' }],
      nodeSelector: { 'nvidia.com/gpu.present': 'true', zone: 'a' },
      tolerations: [
        { key: 'team', operator: 'Exists' },
        { key: 'nvidia.com/gpu', operator: 'Exists' },
      ],
      runtimeClassName: 'nvidia',
    });
    const made = (asked: Partial<RunResources>) =>
      jobManifest({ template: gpu, specification: specification(asked), tensorFlow: {}, queue: null, settings }).spec
        .template.spec;
    const none = made({ accelerator: 'none' });
    expect(none.containers[0].resources).toEqual({ requests: { cpu: '2' }, limits: { cpu: '2' } });
    expect(none.tolerations).toEqual([{ key: 'team', operator: 'Exists' }]);
    expect(none.nodeSelector).toEqual({ zone: 'a' });
    expect(none).not.toHaveProperty('resourceClaims');
    expect(none).not.toHaveProperty('runtimeClassName');
    // One that is named comes in place of the claimed one.
    const slice = 'nvidia.com/mig-1g.10gb';
    const named = made({ accelerator: slice, acceleratorCount: 1 });
    expect(named).not.toHaveProperty('resourceClaims');
    expect(named.containers[0].resources).toEqual({
      requests: { cpu: '2', [slice]: '1' },
      limits: { cpu: '2', [slice]: '1' },
    });
    // Without a word all of it stays.
    expect(made({})).toMatchObject({ ...pod, containers: [{ resources }] });
  });

  it('tolerates GPU nodes only where it asks for one', () => {
    const keys = (asked?: Partial<RunResources>): unknown =>
      make(specification(asked)).spec.template.spec.tolerations.map(({ key }: { key: string }) => key);
    expect(keys()).toEqual(['team']);
    expect(keys({ accelerator: 'nvidia.com/mig-1g.10gb', acceleratorCount: 1 })).toEqual(['team', 'nvidia.com/gpu']);
  });

  it('is held back for a queue, and lets the template judge failures where it does', () => {
    expect(make(specification()).spec).toMatchObject({ backoffLimit: 1000, podReplacementPolicy: 'Failed' });
    expect(make(specification()).spec.suspend).toBeUndefined();
    const queued = make(specification(), 'team-a');
    expect(queued.spec.suspend).toBe(true);
    expect(queued.metadata?.labels).toMatchObject({ 'kueue.x-k8s.io/queue-name': 'team-a' });
    const own = { ...template, spec: { ...template.spec, backoffLimit: 0 } };
    const tensorFlow = { intraOpThreads: 1 };
    expect(
      jobManifest({ template: own, specification: specification(), tensorFlow, queue: null, settings }).spec
        .backoffLimit,
    ).toBe(0);
  });

  it('is known again by what was asked for', () => {
    const labels = make(specification()).metadata?.labels ?? {};
    expect(isJobOf(stateOf(labels), specification())).toBe(true);
    expect(isJobOf(stateOf(labels), specification({}))).toBe(true);
    expect(isJobOf(stateOf(labels), specification({ cpuMillis: 1 }))).toBe(false);
    expect(isJobOf(stateOf(labels), specification(undefined, '2'))).toBe(false);
    expect(isJobOf(stateOf({}), specification())).toBe(false);
  });

  it('needs a container of that name', () => {
    const other = { spec: { template: { spec: { containers: [{ name: 'main' }] } } } };
    const options = {
      template: other,
      specification: specification(),
      tensorFlow: { intraOpThreads: 1 },
      queue: null,
      settings,
    };
    expect(() => jobManifest(options)).toThrow(expect.objectContaining({ code: 'FAILED_PRECONDITION' }) as Error);
  });
});

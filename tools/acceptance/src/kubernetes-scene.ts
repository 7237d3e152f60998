// A namespace of a real control plane with a trainer beside it that makes Jobs there, with no more rights than its Role gives.
import { join, resolve } from 'node:path';
import { until, type ApiObject, type ControlPlane } from '@kindred/control-plane';
import { manifestsFolder, parseManifests } from '@kindred/manifests';
import {
  type PodEnded,
  type RunState,
  TrainingServiceDefinition,
  type Run,
  type RunEvent,
  type RunResources,
} from '@kindred/protocol/training';
import { HealthDefinition, connect } from '@kindred/service-runtime';
import { readFileSync } from 'node:fs';
import { smallSettings } from './small-settings.js';
import { startRestartedService, type RestartedService } from './restarted-service.js';

/** The manifests of the trainer as they are applied. */
export const trainerManifests = parseManifests(readFileSync(join(manifestsFolder, 'base/trainer.yaml'), 'utf8'));

/** What the trainer may do in its namespace, and nothing else: the rules of its Role as it is applied. */
export const trainerRules = trainerManifests.find(({ kind }) => kind === 'Role')?.['rules'] as readonly Rule[];

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** What runs are made of. */
export interface SceneOptions {
  readonly plane: ControlPlane;
  readonly namespace: string;
  /** Folder of the artifact store. */
  readonly store: string;
  readonly augmentationAddress: string;
  /** More of the template's pod. @default none */
  readonly pod?: object;
  /** The container's command. @default the bundle of `training-run` */
  readonly command?: readonly string[];
  /** More of the template's Job. @default none */
  readonly job?: object;
  /** More of the trainer's environment. @default none */
  readonly environment?: Readonly<Record<string, string>>;
}

/** What is asked of a trainer at one address. */
export interface TrainerCalls {
  start(runId: string, options?: StartOptions): Promise<Run>;
  run(runId: string): Promise<Run>;
  cancel(runId: string): Promise<void>;
  resume(runId: string): Promise<void>;
  /** Waits until the run is in one of the states. */
  untilState(runId: string, states: readonly RunState[], ms?: number): Promise<Run>;
  /** Waits until a notice of the run contains the words. */
  untilNotice(runId: string, words: string, ms?: number): Promise<string>;
  /** How the run's pods have ended, of an ended run; from the stream, as a client hears of it. */
  podEnds(runId: string): Promise<PodEnded[]>;
  /** All events of an ended run. */
  events(runId: string): Promise<RunEvent[]>;
  /** Whether its health says that it serves. */
  isServing(): Promise<boolean>;
  close(): void;
}

/** A namespace as a trainer needs it. */
export interface RunsNamespace {
  readonly namespace: string;
  readonly store: string;
  job(runId: string): Promise<ApiObject>;
  /** Pods of a run, also those that have ended. */
  pods(runId: string): Promise<ApiObject[]>;
  setRules(rules: readonly Rule[]): Promise<void>;
}

/** A namespace with a trainer beside it. */
export interface Scene extends RunsNamespace, Omit<TrainerCalls, 'close' | 'isServing'> {
  readonly trainer: RestartedService;
  close(): Promise<void>;
}

/** What is other than usual of a run. */
export interface StartOptions {
  readonly overrides?: Readonly<Record<string, string>>;
  readonly resources?: Partial<RunResources>;
}

/** Settings of all runs. */
export const smallRun = { epochs: '20', ...smallSettings };

/** The seed of all runs: the same experiment has the same result. */
export const runSeed = 11n;

const experimentFile = resolve(import.meta.dirname, '../../../configs/pretext/demo_drawn.yml');
/** The demonstration's experiment. */
export const experiment = readFileSync(experimentFile, 'utf8');

const trainingRun = resolve(import.meta.dirname, '../../../dist/services/trainer/training-run.js');
const container = 'training';

/** Makes the namespace and starts the trainer as a process beside it. */
export async function openScene(options: SceneOptions): Promise<Scene> {
  const furnished = await furnishNamespace(options);
  const trainer = await startRestartedService('trainer', await trainerEnvironment(options));
  const { close: disconnect, ...calls } = callTrainer(trainer.address);
  return {
    ...furnished,
    ...calls,
    trainer,
    async close() {
      disconnect();
      await trainer.stop();
    },
  };
}

/** What a trainer of this namespace is told; it has the rights of its service account. */
export async function trainerEnvironment(options: SceneOptions): Promise<Record<string, string>> {
  const { plane, namespace, store, augmentationAddress, environment = {} } = options;
  return {
    KINDRED_ARTIFACT_STORE: store,
    KINDRED_DATA_AUGMENTATION_ADDR: augmentationAddress,
    KINDRED_TRAINER_THREADS: '1',
    KINDRED_TRAINER_EXECUTOR: 'kubernetes',
    KINDRED_TRAINER_NAMESPACE: namespace,
    KINDRED_TRAINER_POLL_MS: '200',
    // As of a process that is started again in the same pod.
    KINDRED_TRAINER_IDENTITY: 'the-one-pod',
    KUBECONFIG: await plane.serviceAccountKubeconfig(namespace, 'trainer'),
    ...environment,
  };
}

/** Makes the namespace with the trainer's account, its Role and the template of runs. */
export async function furnishNamespace(options: SceneOptions): Promise<RunsNamespace> {
  const { plane, namespace, store } = options;
  const { api } = plane;
  const batch = `/apis/batch/v1/namespaces/${namespace}`;
  const core = `/api/v1/namespaces/${namespace}`;
  const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
  const restricted = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  await api.create('/api/v1/namespaces', { metadata: { name: namespace, labels: restricted } });
  for (const name of ['trainer', 'training-run']) await api.create(`${core}/serviceaccounts`, { metadata: { name } });
  await api.create(`${rbac}/roles`, { metadata: { name: 'trainer' }, rules: trainerRules });
  await api.create(`${rbac}/rolebindings`, {
    metadata: { name: 'trainer' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'trainer' },
    subjects: [{ kind: 'ServiceAccount', name: 'trainer', namespace }],
  });
  await api.create(`${batch}/cronjobs`, {
    metadata: { name: 'training-run' },
    spec: { schedule: '0 0 31 2 *', suspend: true, jobTemplate: jobTemplate(options) },
  });
  return {
    namespace,
    store,
    job: (runId) => api.get(`${batch}/jobs/${runId}`),
    async pods(runId) {
      const { items } = (await api.get(`${core}/pods?labelSelector=kindred.dev/run%3D${runId}`)) as {
        items: ApiObject[];
      };
      return items;
    },
    async setRules(rules) {
      await api.patch(`${rbac}/roles/trainer`, { rules });
    },
  };
}

/** Connects to a trainer. */
export function callTrainer(address: string): TrainerCalls {
  const { client, close } = connect(TrainingServiceDefinition, { service: 'trainer', address });
  const health = connect(HealthDefinition, { service: 'trainer', address });
  const run = async (runId: string): Promise<Run> => {
    const reply = await client.getRun({ runId });
    if (reply.run === undefined) throw new Error(`no run ${runId}`);
    return reply.run;
  };
  const describe = (found: Run | null): string =>
    found === null
      ? 'unknown'
      : JSON.stringify({ state: found.state, failure: found.failure, notices: found.notices }, null, 1);

  return {
    async start(runId, { overrides = {}, resources } = {}) {
      const asked = resources === undefined ? undefined : { ...noResources, ...resources };
      const request = { runId, experiment, overrides: { ...smallRun, ...overrides }, seed: runSeed, resources: asked };
      const reply = await client.startRun(request);
      if (reply.run === undefined) throw new Error(`no run ${runId}`);
      return reply.run;
    },
    run,
    async cancel(runId) {
      await client.cancelRun({ runId });
    },
    async resume(runId) {
      await client.resumeRun({ runId });
    },
    async untilState(runId, states, ms = 120_000) {
      let found: Run | null = null;
      const isSo = async (): Promise<boolean> => states.includes((found = await run(runId)).state);
      await until(isSo, `run ${runId} is in state ${states.join(' or ')}`, ms).catch((error: Error) => {
        throw new Error(`${error.message}; it is ${describe(found)}`);
      });
      return run(runId);
    },
    async untilNotice(runId, words, ms = 120_000) {
      let found: Run | null = null;
      let notice: string | undefined;
      const isSo = async (): Promise<boolean> => {
        found = await run(runId);
        notice = found.notices.map(({ message }) => message).findLast((message) => message.includes(words));
        return notice !== undefined;
      };
      await until(isSo, `run ${runId} says '${words}'`, ms).catch((error: Error) => {
        throw new Error(`${error.message}; it is ${describe(found)}`);
      });
      return notice ?? '';
    },
    async events(runId) {
      const events: RunEvent[] = [];
      for await (const { content } of client.watchRun({ runId })) {
        if (content?.$case === 'event') events.push(content.value);
      }
      return events;
    },
    async podEnds(runId) {
      const ends: PodEnded[] = [];
      for await (const { content } of client.watchRun({ runId })) {
        if (content?.$case === 'podEnded') ends.push(content.value);
      }
      return ends;
    },
    async isServing() {
      const { status } = await health.client.check({ service: '' });
      // grpc.health.v1.HealthCheckResponse.ServingStatus.SERVING
      return status === 1;
    },
    close() {
      close();
      health.close();
    },
  };
}

const noResources: RunResources = {
  accelerator: '',
  acceleratorCount: 0,
  cpuMillis: 0,
  memoryBytes: 0n,
  priorityClass: '',
};

/** The template as the platform's people write it, restricted as Pod Security wants it. */
function jobTemplate({ store, augmentationAddress, pod = {}, job = {}, command }: SceneOptions) {
  return {
    spec: {
      ...job,
      template: {
        spec: {
          serviceAccountName: 'training-run',
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: 10,
          restartPolicy: 'Never',
          securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
          ...pod,
          containers: [
            {
              name: container,
              image: 'kindred/trainer:acceptance',
              command: command ?? ['node', '--enable-source-maps', trainingRun],
              env: [
                { name: 'KINDRED_ARTIFACT_STORE', value: store },
                { name: 'KINDRED_DATA_AUGMENTATION_ADDR', value: augmentationAddress },
              ],
              resources: { requests: { cpu: '1', memory: '1Gi' } },
              securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
            },
          ],
        },
      },
    },
  };
}

// The trainer's Deployment as it is applied, with a plain process in the place of its container: the cluster makes its pods.
import { until, type ApiObject, type ProcessNode } from '@kindred/control-plane';
import { resolve } from 'node:path';
import { trainerEnvironment, trainerManifests, type SceneOptions } from './kubernetes-scene.js';

/** A trainer that the cluster keeps. */
export interface DeployedTrainer {
  /** Waits for the pod that comes in the place of the given ones, and until its process listens; its name and address. */
  successor(former: readonly string[]): Promise<{ readonly pod: string; readonly address: string }>;
  /** Id of a pod's process. */
  pid(pod: string): number;
  /** Deletes the pod. */
  delete(pod: string): Promise<void>;
  /** Deletes the pod's object at once though its process goes on: as on a node that the cluster cannot reach. */
  forget(pod: string): Promise<void>;
  close(): Promise<void>;
}

const mainFile = resolve(import.meta.dirname, '../../../dist/services/trainer/main.js');

/** Applies it to a namespace that is furnished for it, on nodes whose pods are processes. */
export async function deployTrainer(
  options: SceneOptions,
  nodes: readonly ProcessNode[],
  nodeSelector: Readonly<Record<string, string>>,
): Promise<DeployedTrainer> {
  const { plane, namespace } = options;
  const { api } = plane;
  const core = `/api/v1/namespaces/${namespace}`;
  const deployments = `/apis/apps/v1/namespaces/${namespace}/deployments`;
  await api.create('/apis/scheduling.k8s.io/v1/priorityclasses', {
    metadata: { name: 'kindred-service' },
    value: 10_000,
  });
  await api.create(deployments, deploymentOf(await trainerEnvironment(options), nodeSelector));

  const found = async (): Promise<ApiObject[]> =>
    (await api.get(`${core}/pods?labelSelector=app.kubernetes.io/name%3Dtrainer`)).items;
  const isStaying = ({ metadata }: ApiObject): boolean => metadata.deletionTimestamp === undefined;
  const pid = (pod: string): number => {
    for (const node of nodes) {
      const one = node.pid(pod);
      if (one !== null) return one;
    }
    throw new Error(`${pod} has no process`);
  };
  return {
    async successor(former) {
      let [pod, address] = ['', ''];
      const listens = async (): Promise<boolean> => {
        const next = (await found()).find(
          (one) => !former.includes(one.metadata.name) && one.status.phase === 'Running' && isStaying(one),
        );
        if (next === undefined) return false;
        pod = next.metadata.name;
        const log = await api.text(`${core}/pods/${pod}/log`).catch(() => '');
        address = /"address":"([^"]+)"/.exec(log)?.[1] ?? '';
        return address !== '';
      };
      await until(listens, `a trainer's pod beside ${former.join(', ')} listens`);
      return { pod, address };
    },
    pid,
    delete: (pod) => api.delete(`${core}/pods/${pod}`),
    async forget(pod) {
      for (const node of nodes) node.loseSightOf(pod);
      await api.delete(`${core}/pods/${pod}`, { gracePeriodSeconds: 0 });
    },
    async close() {
      await api.delete(`${deployments}/trainer`);
      await until(async () => (await found()).length === 0, 'the trainer has gone');
    },
  };
}

function deploymentOf(environment: Readonly<Record<string, string>>, nodeSelector: object): ApiObject {
  const deployment = structuredClone(trainerManifests.find(({ kind }) => kind === 'Deployment')) as ApiObject;
  const pod = deployment.spec.template.spec;
  const [container] = pod.containers;
  const { KINDRED_TRAINER_IDENTITY: _, ...own } = environment;
  const told = Object.entries({
    ...own,
    KINDRED_TRAINER_HOST: '127.0.0.1',
    KINDRED_TRAINER_PORT: '0',
    KINDRED_TRAINER_METRICS_PORT: '0',
  });
  container.command = ['node', '--enable-source-maps', mainFile];
  container.env = [
    ...container.env.filter(({ name }: { name: string }) => told.every(([key]) => key !== name)),
    ...told.map(([name, value]) => ({ name, value })),
  ];
  pod.nodeSelector = nodeSelector;
  return deployment;
}

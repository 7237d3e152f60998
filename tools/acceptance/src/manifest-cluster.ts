// A cluster as the manifests expect one: definitions of the optional components' kinds, a storage class, and what pods do in it.
import { setTimeout as delay } from 'node:timers/promises';
import { until, type ControlPlane } from '@kindred/control-plane';
import type { CustomResource, Manifest } from '@kindred/manifests';

/** Labels that a headless Service and its pods share. */
export const byName = (name: string): string => `app.kubernetes.io/name=${name}`;

/** A pod, as far as it is looked at. */
export interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly spec: {
    readonly nodeName?: string;
    readonly containers: readonly { readonly resources?: { readonly limits?: Readonly<Record<string, string>> } }[];
  };
  readonly status: { readonly phase: string; readonly conditions?: readonly { type: string; status: string }[] };
}

/** Whether a pod takes calls. */
export function isReady({ metadata, status }: Pod): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  return status.conditions?.some(({ type, status: state }) => type === 'Ready' && state === 'True') ?? false;
}

/** Calls kubectl; what it says on stderr is part of the answer. @throws Error where it fails. */
export async function kubectl(
  plane: ControlPlane,
  args: readonly string[],
  input?: string,
): Promise<{ stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await plane.kubectl(args, input);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: exit code ${code}\n${stderr}`);
  return { stdout, stderr };
}

/** Pods of the namespace. */
export async function podsOf(plane: ControlPlane, selector: string): Promise<Pod[]> {
  const { stdout } = await kubectl(plane, ['get', 'pods', '-n', 'kindred', '-l', selector, '-o', 'json']);
  return (JSON.parse(stdout) as { items: Pod[] }).items;
}

/** What NVIDIA's DRA driver would tell: two cards of gpu-1 that are too small for the claim, four of gpu-2 that are not. */
const devices = [
  {
    apiVersion: 'resource.k8s.io/v1',
    kind: 'DeviceClass',
    metadata: { name: 'gpu.nvidia.com' },
    spec: { selectors: [{ cel: { expression: 'device.driver == "gpu.nvidia.com"' } }] },
  },
  ...(
    [
      ['gpu-1', '8Gi', 2],
      ['gpu-2', '80Gi', 4],
    ] as const
  ).map(([nodeName, memory, cards]) => ({
    apiVersion: 'resource.k8s.io/v1',
    kind: 'ResourceSlice',
    metadata: { name: `${nodeName}-gpu.nvidia.com` },
    spec: {
      driver: 'gpu.nvidia.com',
      nodeName,
      pool: { name: nodeName, generation: 1, resourceSliceCount: 1 },
      devices: Array.from({ length: cards }, (_, index) => ({
        name: `gpu-${index}`,
        capacity: { memory: { value: memory } },
      })),
    },
  })),
];

/** Installs what a cluster has before Kindred comes: definitions, a default storage class, volumes, devices, operators' namespaces. */
export async function furnish(plane: ControlPlane, definitions: readonly CustomResource[]): Promise<void> {
  const objects = [
    ...definitions,
    ...devices,
    ...['gpu-operator', 'monitoring'].map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'CSIDriver',
      metadata: { name: 'disks.test' },
      spec: { attachRequired: false },
    },
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'disks', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
      provisioner: 'kubernetes.io/no-provisioner',
      volumeBindingMode: 'WaitForFirstConsumer',
    },
    ...['one', 'two', 'three', 'four', 'five'].map((name) => ({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: `disk-${name}` },
      spec: {
        capacity: { storage: '100Gi' },
        accessModes: ['ReadWriteOncePod'],
        storageClassName: 'disks',
        csi: { driver: 'disks.test', volumeHandle: name },
      },
    })),
  ];
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
  await kubectl(plane, ['apply', '--server-side', '-f', '-'], list);
  await kubectl(plane, ['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
}

/** What the scheduler says about pods that have no node. */
export async function whyPending(plane: ControlPlane, pods: readonly Pod[]): Promise<string> {
  const selector = '--field-selector=reason=FailedScheduling';
  const { stdout } = await kubectl(plane, ['get', 'events', '-n', 'kindred', selector, '-o', 'json']);
  const { items } = JSON.parse(stdout) as { items: { message: string; involvedObject: { name: string } }[] };
  const names = new Set(pods.map(({ metadata }) => metadata.name));
  return items.flatMap(({ message, involvedObject }) => (names.has(involvedObject.name) ? message : [])).join('\n');
}

/** Everything that a text of manifests names, as the API server has it, without what changes by itself. */
export async function stateOf(plane: ControlPlane, manifests: string): Promise<unknown[]> {
  const { stdout } = await kubectl(plane, ['get', '-f', '-', '-o', 'json'], manifests);
  const { items } = JSON.parse(stdout) as { items: Manifest[] };
  return items.map(({ metadata, status: _, ...rest }) => {
    const {
      resourceVersion: __,
      managedFields: ___,
      annotations,
      ...kept
    } = metadata as Manifest['metadata'] & Record<string, unknown>;
    const own = Object.entries(annotations ?? {}).filter(([key]) => !key.startsWith('deployment.kubernetes.io/'));
    return { ...rest, metadata: { ...kept, annotations: Object.fromEntries(own) } };
  });
}

/** Takes the workloads of another variant away, whose autoscalers would own the numbers of replicas. */
export async function clear(plane: ControlPlane): Promise<void> {
  const kinds = 'horizontalpodautoscalers,deployments,statefulsets';
  await kubectl(plane, ['delete', kinds, '--all', '-n', 'kindred', '--cascade=foreground', '--timeout=120s']);
}

/** Waits until autoscalers have set the numbers of replicas, and all of those are ready. */
export async function settle(plane: ControlPlane): Promise<void> {
  const { stdout } = await kubectl(plane, ['get', 'horizontalpodautoscalers', '-n', 'kindred', '-o', 'json']);
  for (const { metadata, spec } of (JSON.parse(stdout) as { items: Manifest[] }).items) {
    const path = `/apis/apps/v1/namespaces/kindred/deployments/${metadata.name}`;
    await until(
      async () => (await plane.api.get(path)).spec.replicas >= spec.minReplicas,
      `replicas of ${metadata.name}`,
    );
  }
  for (const workload of [
    'deployment/data-augmentation',
    'deployment/trainer',
    'deployment/embedding',
    'statefulset/neighbor-index',
  ])
    await kubectl(plane, ['rollout', 'status', '-n', 'kindred', workload, '--timeout=120s']);
}

/** Follows the pods of one name from now on; `fewest` is the smallest number that were ready at any change. */
export async function watchReady(
  plane: ControlPlane,
  name: string,
): Promise<{ fewest(): number; most(): number; stop(): Promise<void> }> {
  const path = `/api/v1/namespaces/kindred/pods?labelSelector=${encodeURIComponent(byName(name))}`;
  const list = (await plane.api.get(path)) as { metadata: { resourceVersion: string }; items: Pod[] };
  const ready = new Map(list.items.map((pod) => [pod.metadata.name, isReady(pod)]));
  const count = (): number => [...ready.values()].filter(Boolean).length;
  let [fewest, most] = [count(), count()];
  const stopping = new AbortController();
  const following = (async () => {
    for await (const { type, object } of plane.api.watch(path, list.metadata.resourceVersion, stopping.signal)) {
      if (type === 'BOOKMARK') continue;
      ready.set(object.metadata.name, type !== 'DELETED' && isReady(object as Pod));
      fewest = Math.min(fewest, count());
      most = Math.max(most, count());
    }
  })().catch((thrown: unknown) => {
    if (!stopping.signal.aborted) throw thrown;
  });
  return {
    fewest: () => fewest,
    most: () => most,
    async stop() {
      // The last events are on their way.
      await delay(1000);
      stopping.abort();
      await following;
    },
  };
}

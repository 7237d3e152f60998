// Nodes as a cluster with the NVIDIA GPU operator has them: labelled, and tainted where they have GPUs.

/** A node to make. */
export interface NodeDescription {
  readonly name: string;
  /** GPUs that it offers as `nvidia.com/gpu`. @default 0 */
  readonly gpus?: number;
  /** More extended resources, e.g. `nvidia.com/mig-1g.10gb`. @default none */
  readonly resources?: Readonly<Record<string, string>>;
  /** More labels. @default none */
  readonly labels?: Readonly<Record<string, string>>;
  /** More annotations. @default none */
  readonly annotations?: Readonly<Record<string, string>>;
  /** @default 16 cores */
  readonly cpu?: string;
  /** @default 64Gi */
  readonly memory?: string;
}

/** One CPU node, two with one GPU each. */
export const defaultNodes: readonly NodeDescription[] = [
  { name: 'cpu-1' },
  { name: 'gpu-1', gpus: 1 },
  { name: 'gpu-2', gpus: 1 },
];

/** The Node object of a description. */
export function nodeObject({
  name,
  gpus = 0,
  resources = {},
  labels = {},
  annotations = {},
  cpu = '16',
  memory = '64Gi',
}: NodeDescription) {
  const hasGpus = gpus > 0 || Object.keys(resources).some((resource) => resource.startsWith('nvidia.com/'));
  const capacity = {
    cpu,
    memory,
    pods: '110',
    'ephemeral-storage': '100Gi',
    ...(gpus > 0 && { 'nvidia.com/gpu': String(gpus) }),
    ...resources,
  };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      annotations,
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': 'amd64',
        'topology.kubernetes.io/zone': 'zone-a',
        ...(hasGpus && { 'nvidia.com/gpu.present': 'true' }),
        ...labels,
      },
    },
    spec: hasGpus ? { taints: [{ key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule' }] } : {},
    status: { capacity, allocatable: capacity },
  };
}

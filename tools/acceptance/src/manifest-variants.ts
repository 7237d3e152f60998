// The overlays, the cluster's overlay with each component that it only offers, and the overlays in docs/kubernetes.md, as Kustomize builds them.
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { checkoutRoot, manifestsFolder, podTemplateOf, quantity, type Manifest } from '@kindred/manifests';

/** Components of each variant, beside the base. */
export const variants: Readonly<Record<string, readonly string[]>> = {
  'with MIG': ['nvidia-gpu', 'gpu-mig', 'external-s3', 'network-policies', 'hpa'],
  'with time slices': ['nvidia-gpu', 'gpu-time-slicing', 'external-s3', 'network-policies', 'hpa'],
  'with DRA': ['gpu-dra', 'external-s3', 'network-policies', 'hpa'],
  'with Kueue': ['nvidia-gpu', 'kueue', 'external-s3', 'network-policies'],
  'with KEDA': ['nvidia-gpu', 'keda', 'monitoring', 'external-s3', 'network-policies'],
  'with Weaviate': ['weaviate', 'minio', 'monitoring', 'network-policies'],
  'with traces': ['minio', 'tracing', 'network-policies'],
  'with TLS, tokens and a gateway': ['tls', 'access', 'gateway', 'minio', 'network-policies'],
};

/** Names of the overlays in the checkout. */
export const overlays: readonly string[] = readdirSync(join(manifestsFolder, 'overlays'));

/** Kustomizations that docs/kubernetes.md writes out, by what their first line says. */
export const documented: Readonly<Record<string, string>> = Object.fromEntries(
  [
    ...readFileSync(join(checkoutRoot, 'docs/kubernetes.md'), 'utf8').matchAll(
      /```yaml\n(# kustomization\.yaml of your own overlay: (.*)\n[\s\S]*?)```/g,
    ),
  ].map(([, text = '', title = '']) => [`documented: ${title}`, text]),
);

/** Cores and bytes that all pods and one run ask for together; autoscalers at their least. */
export function requestsOf(manifests: readonly Manifest[]): [cpu: number, memory: number] {
  let [cpu, memory] = [0, 0];
  for (const manifest of manifests) {
    const { spec } = podTemplateOf(manifest) ?? {};
    const { name } = manifest.metadata;
    const scaler = manifests.find(({ kind, metadata }) => kind === 'HorizontalPodAutoscaler' && metadata.name === name);
    const replicas = Number(scaler?.spec.minReplicas ?? manifest.spec?.replicas ?? 1);
    for (const { resources } of spec?.containers ?? []) {
      cpu += replicas * quantity(resources.requests.cpu);
      memory += replicas * quantity(resources.requests.memory);
    }
  }
  return [cpu, memory];
}

/** Builds an overlay or a variant; `folder` is a scratch folder for the latter's kustomization. @returns YAML */
export async function buildManifests(kustomize: string, name: string, folder: string): Promise<string> {
  const components = variants[name];
  let path = join(manifestsFolder, 'overlays', name);
  if (components !== undefined) {
    path = join(folder, name.replaceAll(' ', '-'));
    mkdirSync(path, { recursive: true });
    const from = relative(path, manifestsFolder);
    const lines = [
      'apiVersion: kustomize.config.k8s.io/v1beta1',
      'kind: Kustomization',
      `resources: [${from}/base]`,
      'components:',
      ...components.map((component) => `  - ${from}/components/${component}`),
    ];
    writeFileSync(join(path, 'kustomization.yaml'), `${lines.join('\n')}\n`);
  }
  const text = documented[name];
  if (text !== undefined) {
    path = join(folder, name.replaceAll(/[^a-z0-9]+/gi, '-'));
    mkdirSync(path, { recursive: true });
    // There it would lie beside the overlays.
    const from = relative(path, manifestsFolder);
    const moved = text.replaceAll('../../components/', `${from}/components/`).replace('[../', `[${from}/overlays/`);
    writeFileSync(join(path, 'kustomization.yaml'), moved);
  }
  const { stdout } = await promisify(execFile)(kustomize, ['build', path], { maxBuffer: 2 ** 26 });
  return stdout;
}

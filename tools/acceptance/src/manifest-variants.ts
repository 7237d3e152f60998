// The overlays, and the cluster's overlay with each component that it only offers, as Kustomize builds them.
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { manifestsFolder } from '@kindred/manifests';

/** Components of each variant, beside the base. */
export const variants: Readonly<Record<string, readonly string[]>> = {
  'with MIG': ['nvidia-gpu', 'gpu-mig', 'external-s3', 'network-policies', 'hpa'],
  'with time slices': ['nvidia-gpu', 'gpu-time-slicing', 'external-s3', 'network-policies', 'hpa'],
  'with DRA': ['gpu-dra', 'external-s3', 'network-policies', 'hpa'],
  'with Kueue': ['nvidia-gpu', 'kueue', 'external-s3', 'network-policies'],
  'with KEDA': ['nvidia-gpu', 'keda', 'monitoring', 'external-s3', 'network-policies'],
  'with Weaviate': ['weaviate', 'minio', 'monitoring', 'network-policies'],
  'with TLS and a gateway': ['tls', 'gateway', 'minio', 'network-policies'],
};

/** Names of the overlays in the checkout. */
export const overlays: readonly string[] = readdirSync(join(manifestsFolder, 'overlays'));

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
  const { stdout } = await promisify(execFile)(kustomize, ['build', path], { maxBuffer: 2 ** 26 });
  return stdout;
}

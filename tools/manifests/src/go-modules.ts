// Files of other projects that manifests are held to, from the modules that they publish: pinned, cached, and hashed by Go itself.
import { execFile } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseManifests } from './manifest-files.js';
import type { CustomResource, OpenApi } from './schemas.js';

/** The version whose API the manifests are written for. */
export const kubernetesVersion = 'v1.34.4';

/** Who defines the kinds of the optional components, and where in the module. */
const definers = [
  { module: 'sigs.k8s.io/kueue@v0.17.0', folder: 'config/components/crd/bases' },
  { module: 'sigs.k8s.io/gateway-api@v1.4.1', folder: 'config/crd/standard' },
  { module: 'github.com/cert-manager/cert-manager@v1.19.2', folder: 'deploy/crds' },
  { module: 'github.com/kedacore/keda/v2@v2.18.3', folder: 'config/crd/bases' },
  { module: 'github.com/prometheus-operator/prometheus-operator@v0.85.0', folder: 'example/prometheus-operator-crd' },
] as const;

/** Kinds that the components use; the modules define many more. */
const used = new Set([
  'resourceflavors.kueue.x-k8s.io',
  'clusterqueues.kueue.x-k8s.io',
  'localqueues.kueue.x-k8s.io',
  'gateways.gateway.networking.k8s.io',
  'grpcroutes.gateway.networking.k8s.io',
  'issuers.cert-manager.io',
  'certificates.cert-manager.io',
  'scaledobjects.keda.sh',
  'servicemonitors.monitoring.coreos.com',
  'prometheusrules.monitoring.coreos.com',
]);

/** The folder of a Go module, downloaded first where Go has not cached it (seconds to a minute each). */
export async function moduleFolder(module: string): Promise<string> {
  const { stdout } = await promisify(execFile)('go', ['mod', 'download', '-json', module], {
    env: { ...process.env, GOFLAGS: '' },
  });
  return (JSON.parse(stdout) as { Dir: string }).Dir;
}

/** Kubernetes' own description of its API. */
export async function kubernetesApi(): Promise<OpenApi> {
  const folder = await moduleFolder(`k8s.io/kubernetes@${kubernetesVersion}`);
  return JSON.parse(readFileSync(join(folder, 'api/openapi-spec/swagger.json'), 'utf8')) as OpenApi;
}

/** The definitions of all kinds of others that the components use. @throws Error where one is not found. */
export async function customResources(): Promise<CustomResource[]> {
  const found: CustomResource[] = [];
  for (const { module, folder } of definers) {
    const path = join(await moduleFolder(module), folder);
    for (const name of readdirSync(path).filter((file) => file.endsWith('.yaml'))) {
      for (const manifest of parseManifests(readFileSync(join(path, name), 'utf8'))) {
        if (used.has(manifest.metadata?.name)) found.push(manifest as unknown as CustomResource);
      }
    }
  }
  if (found.length !== used.size)
    throw new Error(`found ${found.length} definitions of ${used.size}; look at the modules' folders`);
  return found;
}

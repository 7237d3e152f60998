// What manifests presume: names that they refer to and do not make, each as `Kind name`.
import { parseAllDocuments } from 'yaml';

/** API groups that every cluster has, and Kustomize's own. */
const builtIn = new Set([
  '',
  'apps',
  'batch',
  'policy',
  'autoscaling',
  'networking.k8s.io',
  'rbac.authorization.k8s.io',
  'scheduling.k8s.io',
  'resource.k8s.io',
  'kustomize.config.k8s.io',
]);
const ownNamespace = 'kindred';

type Fields = Readonly<Record<string, unknown>>;

/**
 * What the YAML texts of one folder refer to without making it: Secrets, ConfigMaps, namespaces, API groups of others, device classes,
 * classes of gateways, a storage class, devices, metrics of pods, labels of nodes. @returns `Secret gateway-tls`, …, sorted
 */
export function prerequisites(texts: readonly string[]): string[] {
  const [needed, made] = [new Set<string>(), new Set<string>()];
  for (const text of texts) {
    for (const document of parseAllDocuments(text)) visitObject(document.toJS(), needed, made);
  }
  return [...needed].filter((name) => !made.has(name)).sort();
}

function visitObject(object: unknown, needed: Set<string>, made: Set<string>): void {
  if (isFields(object)) {
    const { apiVersion = '', kind, metadata } = object as { apiVersion?: string; kind?: string; metadata?: Fields };
    const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
    if (!builtIn.has(group)) needed.add(`API ${group}`);
    if (kind !== undefined) made.add(`${kind} ${String(metadata?.['name'])}`);
    const { secretName } = (object['spec'] ?? {}) as { secretName?: string };
    if (kind === 'Certificate' && secretName !== undefined) made.add(`Secret ${secretName}`);
  }
  visit(object, '', needed, made);
}

function visit(value: unknown, key: string, needed: Set<string>, made: Set<string>): void {
  if (Array.isArray(value)) {
    for (const one of value) visit(one, key, needed, made);
    return;
  }
  if (typeof value === 'string') {
    // Kustomize's patches are texts.
    if (key === 'patch') for (const document of parseAllDocuments(value)) visit(document.toJS(), '', needed, made);
    for (const [, namespace] of value.matchAll(/\b[a-z0-9-]+\.([a-z0-9-]+)\.svc\b/g)) addNamespace(namespace, needed);
    const kind = { secretName: 'Secret', deviceClassName: 'DeviceClass', gatewayClassName: 'GatewayClass' }[key];
    if (kind !== undefined) needed.add(`${kind} ${value}`);
    return;
  }
  if (!isFields(value)) return;
  const name = value['name'];
  if (typeof name === 'string') {
    const kind = kindsByField[key];
    if (kind !== undefined) needed.add(`${kind} ${name}`);
    if (key === 'configMapGenerator') made.add(`ConfigMap ${name}`);
  }
  if (key === 'metadata' || key.endsWith('Generator')) addNamespace(value['namespace'], needed);
  if (key === 'volumeClaimTemplates') {
    const { storageClassName = 'default' } = value['spec'] as { storageClassName?: string };
    needed.add(`StorageClass ${storageClassName}`);
  }
  if (key === 'limits' || key === 'requests')
    for (const device of Object.keys(value).filter((one) => one.includes('/'))) needed.add(`Device ${device}`);
  if (value['type'] === 'Resource' && 'resource' in value) needed.add('API metrics.k8s.io');
  if (key === 'nodeLabels') for (const label of Object.keys(value)) needed.add(`Label ${label}`);
  addNamespace(value['kubernetes.io/metadata.name'], needed);
  for (const [field, inner] of Object.entries(value)) visit(inner, field, needed, made);
}

const kindsByField: Readonly<Record<string, string>> = {
  secretRef: 'Secret',
  secretKeyRef: 'Secret',
  certificateRefs: 'Secret',
  configMapRef: 'ConfigMap',
  configMapKeyRef: 'ConfigMap',
  configMap: 'ConfigMap',
};

function addNamespace(name: unknown, needed: Set<string>): void {
  if (typeof name === 'string' && name !== ownNamespace) needed.add(`Namespace ${name}`);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

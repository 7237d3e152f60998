// The manifests of deploy/kubernetes as they are written, before Kustomize puts them together.
import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseAllDocuments } from 'yaml';

/** One object of Kubernetes, or a part of one in a patch. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // The rest depends on the kind; specs look at single fields of it.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly spec?: any;
  readonly [field: string]: unknown;
}

/** What a pod is made from. */
export interface PodTemplate {
  readonly metadata?: { readonly labels?: Readonly<Record<string, string>> };
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly spec: any;
}

/** The folder that everything is in. */
export const checkoutRoot = resolve(import.meta.dirname, '../../..');
/** `deploy/kubernetes` of this checkout. */
export const manifestsFolder = join(checkoutRoot, 'deploy/kubernetes');

/** The objects of the YAML files directly in `folder`, by file name; Kustomize's own files are left out. */
export function readFolder(folder: string): Map<string, Manifest[]> {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.yaml') && name !== 'kustomization.yaml')
    .sort();
  return new Map(files.map((name) => [name, parseManifests(readFileSync(join(folder, name), 'utf8'))]));
}

/** The objects of one YAML text. @throws Error where it is no YAML. */
export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text)
    .map((document) => {
      if (document.errors.length > 0) throw document.errors[0];
      return document.toJS() as Manifest | null;
    })
    .filter((manifest) => manifest !== null);
}

/** The pod template of a Deployment, StatefulSet, Job or CronJob; null for other kinds. */
export function podTemplateOf(manifest: Manifest): PodTemplate | null {
  switch (manifest.kind) {
    case 'Deployment':
    case 'StatefulSet':
    case 'Job':
      return manifest.spec.template as PodTemplate;
    case 'CronJob':
      return manifest.spec.jobTemplate.spec.template as PodTemplate;
    default:
      return null;
  }
}

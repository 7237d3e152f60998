// Every variable that the manifests set is one that the program reads: a misspelt one would be ignored in silence.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { serviceAddressVariable, services, type ServiceName } from '@kindred/service-runtime';
import { describe, expect, it } from 'vitest';
import { checkoutRoot, manifestsFolder, parseManifests, podTemplateOf } from './manifest-files.js';

const names = Object.keys(services) as ServiceName[];

/** Variables that the sources of a service, and of the library under it, name. */
function readBy(name: ServiceName): Set<string> {
  const folders = [`services/${name}/src`, 'libs/service-runtime/src'].map((folder) => join(checkoutRoot, folder));
  const texts = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'))
      .map((file) => readFileSync(join(folder, file), 'utf8')),
  );
  const own = serviceAddressVariable(name).replace(/_ADDR$/, '');
  return new Set([
    ...texts.flatMap((text) => [...text.matchAll(/\bKINDRED_[A-Z0-9_]+\b/g)].map(([variable]) => variable)),
    // With a constant of the file before it: `${prefix}_NODES`.
    ...texts.flatMap((text) => {
      const prefix = /^const prefix = '(KINDRED_[A-Z0-9_]+)';$/m.exec(text)?.[1];
      const ends = [...text.matchAll(/`\$\{prefix\}(_[A-Z0-9_]+)`/g)].map(([, end]) => `${prefix}${end}`);
      return prefix === undefined ? [] : ends;
    }),
    // Composed from the names of services.
    ...names.map(serviceAddressVariable),
    ...['HOST', 'PORT', 'METRICS_PORT'].map((word) => `${own}_${word}`),
  ]);
}

/** `container: variable` of everything that is set, in the base, in patches and in lists of JSON patches. */
function variablesSet(): [string, string, string][] {
  const found: [string, string, string][] = [];
  for (const file of readdirSync(manifestsFolder, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.yaml') || file.endsWith('kustomization.yaml')) continue;
    for (const manifest of parseManifests(readFileSync(join(manifestsFolder, file), 'utf8'))) {
      if (Array.isArray(manifest)) continue;
      for (const container of podTemplateOf(manifest)?.spec.containers ?? []) {
        for (const { name } of container.env ?? []) found.push([container.name, name, file]);
      }
    }
  }
  return found.filter(([, variable]) => variable.startsWith('KINDRED_'));
}

describe('environment', () => {
  it.each(variablesSet())('%s reads %s (%s)', (container, variable) => {
    const service = (container === 'training' ? 'trainer' : container) as ServiceName;
    expect(readBy(service)).toContain(variable);
  });

  it('of TLS and tokens is what services and their clients read', () => {
    const text = ['tls', 'access']
      .flatMap((component) => ['service.yaml', 'training-run.yaml'].map((file) => join(component, file)))
      .map((file) => readFileSync(join(manifestsFolder, 'components', file), 'utf8'))
      .join('\n');
    const variables = new Set([...text.matchAll(/KINDRED_[A-Z_]+/g)].map(([variable]) => variable));
    expect(variables.size).toBe(8);
    for (const variable of variables) expect(readBy('embedding')).toContain(variable);
  });
});

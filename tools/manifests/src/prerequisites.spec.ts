// docs/kubernetes.md, "What must be there before": exactly what each component presumes.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkoutRoot, manifestsFolder } from './manifest-files.js';
import { prerequisites } from './prerequisites.js';

const folders = ['base', ...readdirSync(join(manifestsFolder, 'components')).map((name) => `components/${name}`)];

/** `Kind name` of each row of the table, by the name in its first column; kinds are written once for several names. */
function documented(): Map<string, string[]> {
  const text = readFileSync(join(checkoutRoot, 'docs/kubernetes.md'), 'utf8');
  const section = /## What must be there before\n([\s\S]*?)\n## /.exec(text)?.[1] ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  return new Map(
    rows.map((row) => {
      const [, component = '', needs = ''] = row.split('|').map((cell) => cell.trim());
      const names = [...needs.matchAll(/([A-Z][A-Za-z]*) ((?:`[^`]+`(?:, )?)+)/g)].flatMap(([, kind, list = '']) =>
        [...list.matchAll(/`([^`]+)`/g)].map(([, name]) => `${kind} ${name}`),
      );
      return [component.replaceAll('`', ''), names.sort()];
    }),
  );
}

describe('what manifests presume', () => {
  const table = documented();

  it.each(folders)('of %s stands in the table', (folder) => {
    const path = join(manifestsFolder, folder);
    const texts = readdirSync(path)
      .filter((name) => name.endsWith('.yaml'))
      .map((name) => readFileSync(join(path, name), 'utf8'));
    expect(table.get(folder.replace('components/', '')) ?? []).toEqual(prerequisites(texts));
  });

  it('is of folders that there are', () => {
    const known = folders.map((folder) => folder.replace('components/', ''));
    expect([...table.keys()].filter((name) => !known.includes(name))).toEqual([]);
    expect(table.size).toBeGreaterThan(10);
  });

  it('is found wherever a name may stand', () => {
    const text = `
apiVersion: example.com/v1
kind: Thing
metadata: { name: a, namespace: elsewhere }
spec:
  containers: [{ env: [{ valueFrom: { secretKeyRef: { name: s1 } } }], envFrom: [{ secretRef: { name: s2 } }],
    resources: { limits: { example.com/gpu: 1, cpu: 1 } } }]
  volumes: [{ secret: { secretName: s3 } }, { configMap: { name: c1 } }]
  address: http://x.there.svc:80
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: { name: b, namespace: kindred }
spec: { secretName: s3 }
---
patches: [{ patch: "- op: add\\n  value: {secret: {secretName: s4}}" }]
`;
    expect(prerequisites([text])).toEqual([
      'API cert-manager.io',
      'API example.com',
      'ConfigMap c1',
      'Device example.com/gpu',
      'Namespace elsewhere',
      'Namespace there',
      'Secret s1',
      'Secret s2',
      'Secret s4',
    ]);
  });
});

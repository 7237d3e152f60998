// The patches of this checkout fit the packages that the lock file pins.
import { readFileSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readPatch } from './patches.mjs';

const root = resolve(import.meta.dirname, '../../..');

describe('readPatch', () => {
  it('reads scope, version and files', () => {
    const text =
      '--- a/node_modules/@scope/name/dist/x.js\n+++ b/node_modules/@scope/name/dist/x.js\n@@ -1 +1 @@\n-a\n+b\n';
    expect(readPatch('@scope+name+1.2.3.patch', text)).toEqual({
      package: '@scope/name',
      version: '1.2.3',
      files: ['node_modules/@scope/name/dist/x.js'],
    });
  });

  it.each(readdirSync(resolve(root, 'patches')))('%s is for the pinned version and changes something', (name) => {
    const patch = readPatch(name, readFileSync(resolve(root, 'patches', name), 'utf8'));
    const { packages } = JSON.parse(readFileSync(resolve(root, 'package-lock.json'), 'utf8'));
    expect(packages[`node_modules/${patch.package}`].version).toBe(patch.version);
    expect(patch.files.length).toBeGreaterThan(0);
    for (const file of patch.files) expect(file).toMatch(new RegExp(`^node_modules/${patch.package}/`));
  });
});

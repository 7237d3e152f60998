// What holds for the workspace as a whole: names derive from names, arrows are enforced, walls have one door.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ESLint } from 'eslint';
import { beforeAll, describe, expect, it } from 'vitest';
import { depConstraints, walls } from '../layers.mjs';

const root = resolve(import.meta.dirname, '../../..');
const read = (/** @type {string} */ path) => readFileSync(join(root, path), 'utf8');
const projects = ['libs', 'services', 'tools'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => existsSync(join(root, folder, name, 'package.json')))
    .map((name) => ({
      folder: `${folder}/${name}`,
      name,
      manifest: JSON.parse(read(`${folder}/${name}/package.json`)),
    })),
);

/** Lints `source` as if it were the library's index.ts; nothing is written. */
async function lintAsIndexOf(/** @type {string} */ folder, /** @type {string} */ source) {
  const results = await new ESLint({ cwd: root }).lintText(source, { filePath: join(root, folder, 'src/index.ts') });
  return results.flatMap(({ messages }) => messages.map(({ ruleId, message }) => `${ruleId}: ${message}`)).join('\n');
}

describe('names', () => {
  it('follow the folder', () => {
    for (const { name, manifest } of projects) expect(manifest.name).toBe(`@kindred/${name}`);
  });

  const areas = {
    'data-augmentation': 'augmentation',
    trainer: 'training',
    embedding: 'embedding',
    'neighbor-index': 'neighbors',
  };
  it.each(Object.entries(areas))('of %s derive from one another', (service, area) => {
    expect(read(`proto/kindred/${area}/v1/${area}.proto`)).toContain(`package kindred.${area}.v1;`);
    expect(read('libs/service-runtime/src/services.ts')).toMatch(new RegExp(`^  '?${service}'?: \\{`, 'm'));
    for (const file of ['main.ts', 'config.ts', 'handlers.ts']) {
      expect(existsSync(join(root, 'services', service, 'src', file)), `services/${service}/src/${file}`).toBe(true);
    }
    expect(read(`services/${service}/src/main.ts`).split('\n').length).toBeLessThanOrEqual(61);
    expect(read(`services/${service}/src/main.ts`)).toContain(`runMain('${service}'`);
  });

  it('of layers are known', () => {
    const known = depConstraints.map(({ sourceTag }) => sourceTag);
    for (const { name, manifest } of projects) {
      const layers = (manifest.nx?.tags ?? []).filter((/** @type {string} */ tag) => tag.startsWith('layer:'));
      expect(layers, name).toHaveLength(1);
      expect(known).toContain(layers[0]);
    }
  });
});

describe('arrows', () => {
  // The boundary rule reads Nx's stored project graph, and keeps silent without one.
  beforeAll(() => {
    execFileSync(join(root, 'node_modules/.bin/nx'), ['show', 'projects'], {
      cwd: root,
      env: { ...process.env, NX_DAEMON: 'false' },
    });
  });

  it('refuse a domain library that imports an adapter', async () => {
    const messages = await lintAsIndexOf(
      'libs/augmentation',
      "import { x } from '@kindred/faiss-native';\nexport const y = x;\n",
    );
    expect(messages).toContain('@nx/enforce-module-boundaries');
  });

  it('refuse a second door in a wall', async () => {
    const messages = await lintAsIndexOf(
      'libs/artifact-store',
      "import { Server } from '@grpc/grpc-js';\nexport const y = Server;\n",
    );
    expect(messages).toContain('no-restricted-imports');
  });

  it('let the wall’s owner through', async () => {
    const messages = await lintAsIndexOf(
      'libs/service-runtime',
      "import { Server } from '@grpc/grpc-js';\nexport const y = Server;\n",
    );
    expect(messages).not.toContain('no-restricted-imports');
  });

  it.each(walls.map(({ name, owner }) => [name, owner]))('%s is a dependency of its owner only', (name, owner) => {
    const dependents = projects
      .filter(({ manifest }) => manifest.dependencies?.[name] !== undefined)
      .map(({ folder }) => folder);
    for (const dependent of dependents) expect(owner).toContain(dependent);
  });
});

describe('packages', () => {
  it('are pinned to one version', () => {
    for (const { name, manifest } of projects) {
      for (const [dependency, version] of Object.entries(manifest.dependencies ?? {})) {
        if (!dependency.startsWith('@kindred/')) expect(version, `${name} → ${dependency}`).toMatch(/^\d+\.\d+\.\d+$/);
      }
    }
  });

  it('load exactly one copy of tfjs-core', () => {
    const listing = execFileSync('npm', ['ls', '@tensorflow/tfjs-core', '--all', '--parseable'], {
      cwd: root,
      encoding: 'utf8',
    });
    const copies = new Set(listing.split('\n').filter((line) => line.endsWith('/@tensorflow/tfjs-core')));
    expect(copies.size).toBe(1);
  });

  it('lock no registry’s address other than the public one', () => {
    const hosts = new Set(
      [...read('package-lock.json').matchAll(/"resolved": "https?:\/\/([^/"]+)/g)].map(([, host]) => host),
    );
    for (const host of hosts) expect(host).toBe('registry.npmjs.org');
  });
});

// What the container images are made of, without a container engine: the files of each image, alone, are enough for the main job.
import { execFile, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { pythonWith } from '@kindred/python-environment';
import { serviceAddressVariable, services, type ServiceName } from '@kindred/service-runtime';
import { temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { walkSmallJob } from './small-job.js';

const run = promisify(execFile);
const checkout = resolve(import.meta.dirname, '../../..');
const names = Object.keys(services) as ServiceName[];
const folder = temporaryFolder('kindred-images');
const rootOf = (name: ServiceName): string => join(folder, name);
const containerfile = join(checkout, 'deploy/images/Containerfile');

interface BillOfMaterials {
  readonly components: readonly { readonly name: string; readonly version: string; readonly purl: string }[];
}

describe('images', () => {
  beforeAll(async () => {
    for (const name of names) await assemble(name, rootOf(name));
  }, 300_000);

  it.each(names)('of %s list all packages that they hold, and hold nothing of the machine that built them', (name) => {
    const text = readFileSync(join(rootOf(name), 'sbom.cdx.json'), 'utf8');
    const listed = new Set(
      (JSON.parse(text) as BillOfMaterials).components.map(({ name: own, version }) => `${own}@${version}`),
    );
    const files = readdirSync(rootOf(name), { recursive: true, withFileTypes: true });
    const held = files
      .filter((entry) => entry.name === 'package.json' && /node_modules\/(@[^/]+\/)?[^/]+$/.test(entry.parentPath))
      .map(
        (entry) =>
          JSON.parse(readFileSync(join(entry.parentPath, entry.name), 'utf8')) as { name: string; version: string },
      )
      .map(({ name: own, version }) => `${own}@${version}`);
    expect(held.length).toBeGreaterThan(20);
    for (const one of held) expect(listed).toContain(one);
    for (const tool of ['vitest', 'vite', 'esbuild', 'typescript', 'nx', 'eslint', 'tsx']) {
      expect(held.filter((one) => one.startsWith(`${tool}@`))).toEqual([]);
    }
    const unused = files.filter(({ name: own, parentPath }) =>
      parentPath.includes('/node_modules/') ? /\.(map|[cm]?ts)$/.test(own) : own.endsWith('.ts'),
    );
    expect(unused.map((entry) => join(entry.parentPath, entry.name))).toEqual([]);
    for (const entry of files) expect(lstatSync(join(entry.parentPath, entry.name)).isSymbolicLink()).toBe(false);
  });

  it('are the same each time', async () => {
    const again = join(folder, 'again');
    await assemble('neighbor-index', again);
    const listing = (root: string) =>
      readdirSync(root, { recursive: true, encoding: 'utf8' })
        .sort()
        .map((path) => ({ path, time: lstatSync(join(root, path)).mtimeMs, size: lstatSync(join(root, path)).size }));
    expect(listing(again)).toEqual(listing(rootOf('neighbor-index')));
  });

  describe('as processes', () => {
    const children: ChildProcess[] = [];
    const environment: Record<string, string> = {
      KINDRED_LOG_LEVEL: 'warn',
      KINDRED_ARTIFACT_STORE: join(folder, 'store'),
      KINDRED_NEIGHBOR_INDEX_DATA: join(folder, 'collections'),
    };
    afterAll(async () => {
      for (const child of children) {
        const gone = once(child, 'exit');
        if (child.exitCode === null && child.kill('SIGTERM')) await gone;
      }
    });

    it('do the main job from their own files alone', async () => {
      // In the order of who calls whom; embedding and neighbor-index call each other, the latter only when asked for images.
      for (const name of ['data-augmentation', 'trainer', 'neighbor-index', 'embedding'] as const) {
        const prefix = serviceAddressVariable(name).replace(/_ADDR$/, '');
        const child = fork(join(rootOf(name), 'dist/services', name, 'main.js'), [], {
          cwd: rootOf(name),
          stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
          env: { ...process.env, ...environment, [`${prefix}_PORT`]: '0', [`${prefix}_METRICS_PORT`]: '0' },
        });
        children.push(child);
        const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`${name} ended with ${code}`)));
        const [message] = (await Promise.race([once(child, 'message'), ended])) as [{ address: string }];
        environment[serviceAddressVariable(name)] = message.address;
      }
      await walkSmallJob(folder, environment);
      expect(existsSync(join(folder, 'store/runs'))).toBe(true);
    });
  });

  it('are built by a Containerfile that hadolint finds nothing in that is not answered beside it', async () => {
    const python = await pythonWith({
      purpose: 'hadolint',
      file: join(checkout, 'tools/acceptance/python/requirements-hadolint.txt'),
      contents: 'hadolint; a few MB',
      say: (line) => process.stderr.write(`${line}\n`),
    });
    const { stdout } = await run(join(dirname(python), 'hadolint'), ['--format', 'json', containerfile]).catch(
      (thrown: { stdout: string }) => thrown,
    );
    expect(JSON.parse(stdout)).toEqual([]);
    const text = readFileSync(containerfile, 'utf8');
    for (const name of names) expect(text).toMatch(new RegExp(`^FROM (runtime|tensorflow) AS ${name}$`, 'm'));
  });
});

async function assemble(name: ServiceName, root: string): Promise<void> {
  await run(process.execPath, [join(checkout, 'tools/build/image-root.mjs'), name, root], { cwd: checkout });
}

// The container images themselves: built by buildah on a Debian made by debootstrap, then run, and the main job walked through them. Runs when it
// is named (`npm run acceptance -- containers`): minutes of building and gigabytes, which the suite `images`, with the same files as folders, spares.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { serviceAddressVariable, services, type ServiceName } from '@kindred/service-runtime';
import { freePort, temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildahIn, readImage, startContainer, type Container, type Image } from './container.js';
import { cudaLibraries, openEach } from './cuda-libraries.js';
import { walkSmallJob } from './small-job.js';

const checkout = resolve(import.meta.dirname, '../../..');
const names = Object.keys(services) as ServiceName[];
/** In the order of who calls whom; embedding and neighbor-index call each other, the latter only when asked for images. */
const order = ['data-augmentation', 'trainer', 'neighbor-index', 'embedding'] as const;
/** `cuda`: trainer and embedding with CUDA's libraries, which compute on the CPU where there is no GPU. */
const cuda = process.env['KINDRED_CONTAINERS'] === 'cuda';
const hasCuda = (name: ServiceName): boolean => cuda && ['trainer', 'embedding'].includes(name);
const revision = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: checkout, encoding: 'utf8' }).trim();
const user = 10_001;
const buildTimeoutMs = 60 * 60_000;

const missing = [
  ...['buildah', 'debootstrap', 'unshare', 'chroot'].filter(
    (name) => spawnSync(name, ['--version']).error !== undefined,
  ),
  ...(spawnSync('unshare', ['--mount', '--pid', '--fork', 'true']).status === 0
    ? []
    : ['the right to make namespaces']),
];
if (missing.length > 0)
  console.error(`\n!!! containers are neither built nor run here; missing: ${missing.join(', ')}\n`);

describe.skipIf(missing.length > 0)('containers', () => {
  // Where all is skipped, nothing would remove it.
  const folder = missing.length > 0 ? '' : temporaryFolder('kindred-containers');
  const volume = join(folder, 'volume');
  // Of images in a folder that is named only the missing are built, and all stay.
  const kept = process.env['KINDRED_CONTAINERS_STORAGE'];
  const storage = kept ?? join(folder, 'images');
  const buildah = buildahIn(storage);
  const imageOf = (name: ServiceName): string => `localhost/kindred/${name}${hasCuda(name) ? '-cuda' : ''}:0.1.0`;
  const images = new Map<ServiceName, { readonly image: Image; readonly files: string }>();
  const working: string[] = [];
  const running = new Map<ServiceName, Container>();

  beforeAll(async () => {
    mkdirSync(volume);
    chownSync(volume, user, user);
    const there = kept === undefined ? '' : await buildah('images', '--json');
    for (const tensorflow of ['cpu', 'gpu']) {
      const wanted = names
        .filter((name) => (hasCuda(name) ? 'gpu' : 'cpu') === tensorflow)
        .filter((name) => !there.includes(`"${imageOf(name)}"`));
      if (wanted.length > 0) await build(storage, ['--tensorflow', tensorflow, ...wanted]);
    }
    for (const name of names) {
      const container = await buildah('from', '--pull-never', imageOf(name));
      working.push(container);
      images.set(name, { image: await readImage(buildah, imageOf(name)), files: await buildah('mount', container) });
    }
  }, buildTimeoutMs);

  afterAll(async () => {
    for (const container of running.values()) await container.stop();
    if (working.length > 0) await buildah('rm', ...working);
    // buildah has mounted its folder of layers upon itself.
    if (kept === undefined) spawnSync('umount', [join(storage, 'storage/overlay')]);
  }, 120_000);

  it.each(names)(
    'of %s: a user without privileges, labels, a bill of materials, and nothing that only building needs',
    (name) => {
      const { image, files } = images.get(name)!;
      expect(image.config.User).toBe(`${user}:${user}`);
      const label = (key: string): string | undefined => image.config.Labels[`org.opencontainers.image.${key}`];
      expect(label('title')).toBe(`Kindred ${name}`);
      expect(label('version')).toBe('0.1.0');
      expect(label('revision')).toMatch(/^[0-9a-f]{40}(-changed)?$/);
      if (kept === undefined) expect(label('revision')?.slice(0, 40)).toBe(revision);
      expect(label('licenses')).toBe('Apache-2.0');
      expect(existsSync(join(files, 'app/sbom.cdx.json'))).toBe(true);
      const debian = readFileSync(join(files, 'var/lib/dpkg/status'), 'utf8');
      for (const tool of ['g++', 'binutils', 'python3', 'libopenblas-dev', 'libfaiss-dev']) {
        expect(debian).not.toContain(`Package: ${tool}\n`);
      }
      for (const path of ['usr/local/lib/node_modules', 'source', 'cache', 'images']) {
        expect(existsSync(join(files, path)), path).toBe(false);
      }
    },
  );

  it('share the layers below what is their own', () => {
    const layersOf = (name: ServiceName): readonly string[] => images.get(name)!.image.layers;
    expect(layersOf('embedding').slice(0, -1)).toEqual(layersOf('trainer').slice(0, -1));
    expect(layersOf('neighbor-index').slice(0, 3)).toEqual(layersOf('data-augmentation').slice(0, 3));
    // With CUDA a layer is a stage, without it a step.
    if (!cuda) expect(layersOf('trainer').slice(0, 3)).toEqual(layersOf('data-augmentation').slice(0, 3));
  });

  it('do the main job, without privileges and on a root that nobody can write to', async () => {
    const store = join(volume, 'store');
    const environment: Record<string, string> = {
      KINDRED_LOG_LEVEL: 'warn',
      KINDRED_ARTIFACT_STORE: store,
      KINDRED_NEIGHBOR_INDEX_DATA: join(volume, 'collections'),
    };
    for (const name of order) {
      const [port, metricsPort] = [await freePort(), await freePort()];
      const prefix = serviceAddressVariable(name).replace(/_ADDR$/, '');
      const { image, files } = images.get(name)!;
      const container = startContainer(image, files, volume, {
        ...environment,
        [`${prefix}_PORT`]: String(port),
        [`${prefix}_METRICS_PORT`]: String(metricsPort),
      });
      running.set(name, container);
      await ready(name, container, metricsPort);
      environment[serviceAddressVariable(name)] = `127.0.0.1:${port}`;
      confined(container.pid());
    }
    await walkSmallJob(folder, environment, () =>
      [...running].map(([name, one]) => `${name}: ${one.words()}`).join('\n'),
    );
    expect(statSync(join(store, 'runs')).uid).toBe(user);
    for (const [name, container] of running) expect(await container.stop(), `${name}: ${container.words()}`).toBe(0);
  });

  it.runIf(cuda)('hold the libraries of CUDA where their openers look, whole but for the driver', async () => {
    for (const name of ['trainer', 'embedding'] as const) {
      const { image, files } = images.get(name)!;
      const container = startContainer(image, files, volume, {}, ['node', '-e', openEach, ...cudaLibraries(files)]);
      await once(container.child, 'close');
      expect(container.child.exitCode, container.words()).toBe(0);
      const answers = Object.entries(JSON.parse(container.words()) as Record<string, string>);
      // Node says so of what the loader has loaded: these are no addons.
      const loaded = answers.filter(([, answer]) => answer.includes('did not self-register'));
      expect(loaded.length).toBeGreaterThan(12);
      for (const [path, answer] of answers) {
        expect(answer, path).toMatch(/did not self-register|^libcuda\.so\.1: cannot open/);
      }
    }
  });

  const again = { timeout: buildTimeoutMs, skip: kept !== undefined };
  it('are the same bytes when they are built again from nothing', again, async () => {
    const before = await buildah('inspect', '--type', 'image', imageOf('neighbor-index'));
    await build(storage, ['--no-cache', 'neighbor-index']);
    const after = await buildah('inspect', '--type', 'image', imageOf('neighbor-index'));
    const digest = (text: string): string => (JSON.parse(text) as { FromImageDigest: string }).FromImageDigest;
    expect(digest(after)).toMatch(/^sha256:/);
    expect(digest(after)).toBe(digest(before));
  });
});

/** Builds images, saying so as it goes. */
async function build(storage: string, words: readonly string[]): Promise<void> {
  const program = join(checkout, 'tools/build/images.mjs');
  const child = spawn(process.execPath, [program, '--storage', storage, ...words], { stdio: ['ignore', 2, 2] });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`tools/build/images.mjs ${words.join(' ')} ended with exit code ${code}`);
}

/** Resolves when the service says at `/readyz`, as it does to a kubelet's probe, that it is. */
async function ready(name: ServiceName, container: Container, port: number): Promise<void> {
  for (;;) {
    if (container.child.exitCode !== null) throw new Error(`${name} ended: ${container.words()}`);
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null);
    await answer?.text();
    if (answer?.status === 200) return;
    await wait(100);
  }
}

/** Looks at a process from outside: whose it is, what it may do, and that it cannot write to its root. */
function confined(pid: number): void {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): string[] =>
    new RegExp(`^${name}:(.*)$`, 'm').exec(status)?.[1]?.trim().split(/\s+/) ?? [];
  expect(field('Uid')).toEqual(Array<string>(4).fill(String(user)));
  expect(field('Groups')).toEqual(['']);
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
    expect(field(set)).toEqual(['0000000000000000']);
  expect(field('NoNewPrivs')).toEqual(['1']);
  expect(field('NSpid').at(-1)).toBe('1');
  const root = readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .find((mount) => mount[4] === '/');
  expect(root?.[5]?.split(',')).toContain('ro');
}

// `node tools/build/images.mjs [OPTIONS] [SERVICE…]`: builds the container images with buildah. Without --base, from nothing that a registry
// would have to bring: on a Debian made by debootstrap, with this machine's Node.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const USAGE = `usage: node tools/build/images.mjs [--tensorflow cpu|gpu] [--storage FOLDER] [--no-cache]
         [--base IMAGE --runtime-base IMAGE] [SERVICE…]
  --tensorflow gpu  trainer-cuda and embedding-cuda: CUDA 12's libraries inside
  --storage         where images, layers and caches are kept; default: buildah's own place
  --base            Debian with Node, and --runtime-base the same Debian alone; default: made by debootstrap, kept as localhost/kindred-…`;

const root = resolve(import.meta.dirname, '../..');
const mirror = 'http://deb.debian.org/debian';
const known = ['data-augmentation', 'trainer', 'embedding', 'neighbor-index'];
/** What Debian's own slim images leave out, too: it is for people. */
const unread = ['doc', 'groff', 'info', 'lintian', 'linda', 'locale', 'man'];
const options = readOptions();
const buildah = buildahOf(options.storage);

try {
  const [base, runtimeBase] = options.base === '' ? ownBases() : [options.base, options['runtime-base']];
  for (const service of options.services) buildImage(service, base, runtimeBase);
} catch (error) {
  console.error(/** @type {Error} */ (error).message);
  process.exitCode = 1;
}

function readOptions() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        tensorflow: { type: 'string', default: 'cpu' },
        storage: { type: 'string', default: '' },
        base: { type: 'string', default: '' },
        'runtime-base': { type: 'string', default: '' },
        'no-cache': { type: 'boolean', default: false },
      },
    });
    const unknown = positionals.find((name) => !known.includes(name));
    if (unknown !== undefined) throw new Error(`unknown service '${unknown}'; known: ${known.join(', ')}`);
    if (!['cpu', 'gpu'].includes(values.tensorflow)) throw new Error(`--tensorflow is '${values.tensorflow}'`);
    if ((values.base === '') !== (values['runtime-base'] === ''))
      throw new Error('--base and --runtime-base go together');
    const all = values.tensorflow === 'gpu' ? ['trainer', 'embedding'] : known;
    return { ...values, services: positionals.length > 0 ? positionals : all };
  } catch (error) {
    console.error(`${/** @type {Error} */ (error).message}\n${USAGE}`);
    return process.exit(2);
  }
}

/** Runs buildah on a storage, a folder or '' for buildah's own, and gives what it prints. @param {string} storage */
function buildahOf(storage) {
  const place = resolve(storage);
  const temporary = join(place, 'temporary');
  if (storage !== '') mkdirSync(temporary, { recursive: true });
  const words = storage === '' ? [] : ['--root', join(place, 'storage'), '--runroot', join(place, 'run')];
  // chroot: no container runtime is needed. Cache mounts lie below TMPDIR.
  const env = { BUILDAH_ISOLATION: 'chroot', ...process.env, ...(storage !== '' && { TMPDIR: temporary }) };
  return (/** @type {string[]} */ ...more) => run('buildah', [...words, ...more], env);
}

/** @param {string} service @param {string} base @param {string} runtimeBase */
function buildImage(service, base, runtimeBase) {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const name = `localhost/kindred/${service}${options.tensorflow === 'gpu' ? '-cuda' : ''}:${version}`;
  const changed = git('status', '--porcelain') === '' ? '' : '-changed';
  const words = { BASE: base, RUNTIME_BASE: runtimeBase, TENSORFLOW: options.tensorflow };
  const started = performance.now();
  const file = join(root, 'deploy/images/Containerfile');
  const unlabelled = buildah(
    // Layers of steps, which let the next image begin where this one ends, would keep CUDA's libraries three times more.
    ...[
      'build',
      '--quiet',
      `--layers=${options.tensorflow === 'cpu'}`,
      '--timestamp',
      '0',
      '--file',
      file,
      '--ignorefile',
      `${file}.dockerignore`,
    ],
    ...Object.entries(words).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]),
    ...(options['no-cache'] ? ['--no-cache'] : []),
    ...['--target', service, root],
  ).trim();
  const id = label(unlabelled, name, {
    version,
    revision: `${git('rev-parse', 'HEAD')}${changed}`,
    created: git('log', '-1', '--format=%cI'),
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  const [{ size }] = JSON.parse(buildah('images', '--json', '--filter', `reference=${name}`));
  console.log(`${name}  ${size}  ${seconds} s  ${id}`);
}

/**
 * Labels an image and names it. In a build of its own: buildah 1.28 takes a label that is made of build arguments from its cache, whatever they are.
 * @param {string} image @param {string} name @param {Record<string, string>} labels @returns {string} its id
 */
function label(image, name, labels) {
  const text = Object.entries(labels).map(([key, value]) => `LABEL org.opencontainers.image.${key}="${value}"\n`);
  return withFolder((folder) => {
    writeFileSync(join(folder, 'Containerfile'), `FROM ${image}\n${text.join('')}`);
    return buildah('build', '--quiet', '--layers', '--timestamp', '0', '--pull-never', '--tag', name, folder).trim();
  });
}

/** Debian by debootstrap, and the same with Node. @returns {[base: string, runtimeBase: string]} */
function ownBases() {
  const debian = 'localhost/kindred-debian:bookworm';
  const node = `localhost/kindred-node:${process.versions.node}`;
  if (!isThere(debian)) {
    console.log(`${debian} is made by debootstrap`);
    withFolder((folder) => {
      run('debootstrap', ['--variant=minbase', 'bookworm', folder, mirror]);
      makeSlim(folder);
      commit('scratch', folder, debian);
    });
  }
  if (!isThere(node)) {
    withFolder((folder) => {
      const local = join(folder, 'usr/local');
      cpSync(process.execPath, join(local, 'bin/node'), { dereference: true });
      const npm = realpathSync(run('sh', ['-c', 'command -v npm']).trim());
      cpSync(resolve(dirname(npm), '..'), join(local, 'lib/node_modules/npm'), { recursive: true });
      symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(local, 'bin/npm'));
      // Whom this machine trusts, e.g. a company's proxy, the build trusts, too; the images are not made of this base.
      const authorities = process.env.NODE_EXTRA_CA_CERTS || '/etc/ssl/certs/ca-certificates.crt';
      const inside = '/usr/local/share/authorities.crt';
      if (existsSync(authorities)) cpSync(authorities, join(folder, inside), { dereference: true });
      const trust = existsSync(authorities) ? ['NODE_EXTRA_CA_CERTS', 'PIP_CERT'].map((key) => `${key}=${inside}`) : [];
      commit(debian, folder, node, trust);
    });
  }
  return [node, debian];
}

/** An image of another with the folder's files over it. @param {string} from @param {string} folder @param {string} name @param {string[]} [env] */
function commit(from, folder, name, env = []) {
  const container = buildah('from', from).trim();
  try {
    buildah('add', '--quiet', container, folder, '/');
    buildah('config', ...env.flatMap((setting) => ['--env', setting]), '--cmd', 'sh', container);
    buildah('commit', '--quiet', '--timestamp', '0', container, name);
  } finally {
    buildah('rm', container);
  }
}

/** Leaves out what debootstrap fetched and what only people read, there and in packages to come. @param {string} folder */
function makeSlim(folder) {
  const excluded = unread.map((name) => `path-exclude /usr/share/${name}/*\n`).join('');
  writeFileSync(join(folder, 'etc/dpkg/dpkg.cfg.d/slim'), `${excluded}path-include /usr/share/doc/*/copyright\n`);
  for (const name of unread.filter((one) => one !== 'doc'))
    rmSync(join(folder, 'usr/share', name), { recursive: true, force: true });
  const documents = join(folder, 'usr/share/doc');
  for (const entry of readdirSync(documents, { recursive: true, withFileTypes: true })) {
    if (!entry.isDirectory() && entry.name !== 'copyright') rmSync(join(entry.parentPath, entry.name));
  }
  for (const place of ['var/cache/apt/archives', 'var/lib/apt/lists', 'var/log']) {
    for (const name of readdirSync(join(folder, place))) rmSync(join(folder, place, name), { recursive: true });
  }
  for (const file of ['var/cache/ldconfig/aux-cache', 'etc/resolv.conf', 'etc/hostname'])
    rmSync(join(folder, file), { force: true });
  const sources = ['bookworm', 'bookworm-updates'].map((suite) => `deb ${mirror} ${suite} main\n`).join('');
  writeFileSync(join(folder, 'etc/apt/sources.list'), `${sources}deb ${mirror}-security bookworm-security main\n`);
}

/** @param {string} image */
function isThere(image) {
  return buildah('images', '--json').includes(`"${image}"`);
}

/** @template T @param {(folder: string) => T} work @returns {T} */
function withFolder(work) {
  const folder = mkdtempSync(
    join(options.storage === '' ? tmpdir() : join(resolve(options.storage), 'temporary'), 'kindred-base-'),
  );
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string[]} words */
function git(...words) {
  return run('git', ['-C', root, ...words]).trim();
}

/** What a program prints; what it says goes to standard error. @param {string} program @param {string[]} words @param {NodeJS.ProcessEnv} [env] */
function run(program, words, env = process.env) {
  const { error, status, stdout } = spawnSync(program, words, {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (error !== undefined) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    throw new Error(
      code === 'ENOENT' ? `${program} is missing: apt-get install buildah debootstrap git` : error.message,
    );
  }
  if (status !== 0) throw new Error(`${program} ${words.slice(0, 8).join(' ')} … ended with exit code ${status}`);
  return stdout;
}

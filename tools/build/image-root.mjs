// `node tools/build/image-root.mjs SERVICE FOLDER`: the files of one service's container image: its bundle, the npm packages that it needs,
// the native libraries as files instead of links into the cache, and a bill of materials (CycloneDX).
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { tensorflowWheels } from '@kindred/setup/tensorflow-wheels';

const root = resolve(import.meta.dirname, '../..');
const [service = '', folder = ''] = process.argv.slice(2);
const known = readdirSync(join(root, 'services'));
if (!known.includes(service) || folder === '') {
  console.error(
    `usage: node tools/build/image-root.mjs SERVICE FOLDER; SERVICE is one of ${known.join(', ')}; got '${service}'`,
  );
  process.exit(2);
}
const bundle = join('dist/services', service);
if (!existsSync(join(root, bundle, 'main.js'))) {
  console.error(`${bundle} is not built; run npm run setup first`);
  process.exit(1);
}
/** What only compiling or people need: sources and headers of addons, types, documentation. */
const leftOut = /\.(md|markdown|cc|h|gyp|gypi|d\.[cm]?ts)$|^(deps|binding)$/i;
/** Seconds since 1970 of every file, so that the same sources make the same image. */
const time = Number(process.env.SOURCE_DATE_EPOCH ?? 0);

rmSync(folder, { recursive: true, force: true });
copy(bundle, bundle);
const packages = productionPackages();
for (const path of packages) {
  // Nested below one of our libraries, which lies within the bundle: found at the top, as in the checkout, unless another version is there.
  const place = path.replace(/^(libs|services)\/[^/]+\//, '');
  if (place === path || !packages.includes(place)) copy(path, place);
}
if (packages.includes('node_modules/@tensorflow/tfjs-node-gpu')) copyCuda();
writeFileSync(join(folder, 'sbom.cdx.json'), `${JSON.stringify(billOfMaterials(), null, 1)}\n`);
setTimes(folder);

/** Folders of the installed packages that the service needs at run time, relative to the checkout. */
function productionPackages() {
  const listing = execFileSync('npm', ['ls', '--omit=dev', '--all', '--parseable', '-w', `services/${service}`], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  const paths = listing
    .split('\n')
    .filter(Boolean)
    .map((path) => relative(root, path));
  return [...new Set(paths)]
    .filter((path) => path !== '' && !path.includes('@kindred/') && path.includes('node_modules/'))
    .sort();
}

/** @param {string} from relative to the checkout @param {string} to relative to the folder */
function copy(from, to) {
  const source = join(root, from);
  cpSync(source, join(folder, to), {
    recursive: true,
    dereference: true,
    // Packages within the package are of the list themselves, or of nobody's.
    filter: (path) =>
      !relative(source, path).split('/').includes('node_modules') && !leftOut.test(relative(source, path)),
  });
}

/** CUDA's libraries, where TensorFlow's look for them: beside the folder that they lie in. */
function copyCuda() {
  const addon = realpathSync(join(root, 'node_modules/@tensorflow/tfjs-node-gpu/lib/napi-v8'));
  const cuda = join(addon, '../nvidia');
  if (!existsSync(cuda)) return;
  cpSync(realpathSync(cuda), join(folder, 'node_modules/@tensorflow/tfjs-node-gpu/lib/nvidia'), {
    recursive: true,
    dereference: true,
    filter: (path) => !/\/(include|__pycache__)(\/|$)|\.(py|a)$/.test(path),
  });
}

/** npm packages with their hashes as package-lock.json pins them, and the wheels that TensorFlow's libraries are of. */
function billOfMaterials() {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const npm = packages.map((path) => {
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const { version: own, integrity = '' } = lock[path];
    const [algorithm = '', hash = ''] = integrity.split('-');
    return {
      type: 'library',
      name,
      version: own,
      purl: `pkg:npm/${name.replace('@', '%40')}@${own}`,
      ...(algorithm === 'sha512' && {
        hashes: [{ alg: 'SHA-512', content: Buffer.from(hash, 'base64').toString('hex') }],
      }),
    };
  });
  const native = packages.includes('node_modules/@tensorflow/tfjs-node-gpu')
    ? tensorflowWheels(process.env.KINDRED_TENSORFLOW || 'cpu').map(({ name, version: own, sha256 }) => ({
        type: 'library',
        name,
        version: own,
        purl: `pkg:pypi/${name}@${own}`,
        hashes: [{ alg: 'SHA-256', content: sha256 }],
      }))
    : [];
  const components = [...npm, ...native];
  const digest = createHash('sha256').update(JSON.stringify(components)).digest('hex');
  const serial = digest.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-5$3-8$4-$5');
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${serial}`,
    version: 1,
    metadata: { component: { type: 'application', name: `kindred/${service}`, version } },
    components,
  };
}

/** @param {string} path */
function setTimes(path) {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) setTimes(join(path, entry.name));
    else utimesSync(join(path, entry.name), time, time);
  }
  utimesSync(path, time, time);
}

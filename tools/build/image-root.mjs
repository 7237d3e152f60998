// `node tools/build/image-root.mjs SERVICE FOLDER [LIBRARIES]`: the files of one service's container image: its bundle, the npm packages
// that it needs, the native libraries as files instead of links into the cache, and a bill of materials (CycloneDX).
// With LIBRARIES, TensorFlow's and CUDA's go to folders there, each a layer of several images: tensorflow, cublas, cudnn, cuda.
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
const [service = '', folder = '', libraries = folder] = process.argv.slice(2);
const known = readdirSync(join(root, 'services'));
if (!known.includes(service) || folder === '') {
  console.error(
    `usage: node tools/build/image-root.mjs SERVICE FOLDER [LIBRARIES]; SERVICE is one of ${known.join(', ')}; got '${service}'`,
  );
  process.exit(2);
}
const bundle = join('dist/services', service);
if (!existsSync(join(root, bundle, 'main.js'))) {
  console.error(`${bundle} is not built; run npm run setup first`);
  process.exit(1);
}
const tensorflow = 'node_modules/@tensorflow/tfjs-node-gpu';
/** What only compiling or people need: sources, headers, types, documentation, tests; our own bundles have none of it but source maps. */
const leftOut =
  /\.(md|markdown|cc|h|gyp|gypi|[cm]?ts|flow|html|tsbuildinfo|zip)$|[._](spec|test)\.[cm]?js$|^(deps|binding|docs?|examples?|tests?|__tests__)$/i;
/** A package's own source maps, and the forms of TensorFlow.js for browsers and bundlers: Node loads `tf*.node.js`. */
const leftOutOfPackages = /\.map$|^dist\/tf(-[a-z-]+)?(\.(es2017|fesm))?(\.min)?\.js$/;
/**
 * Of CUDA's wheels: what compilers need, and libraries that no other one and none of TensorFlow's names (half a gigabyte): cuRAND, several
 * GPUs' cuSOLVER, FFTW's and BLAS's interfaces, NVRTC with another allocator, NVVM for nvcc, what other programs link NCCL's kernels from.
 */
const leftOutOfCuda =
  /\/(include|__pycache__|curand)(\/|$)|\.(py|a)$|\/(libcusolverMg|libcufftw|libnvblas|libnvrtc(-builtins)?\.alt|libnvvm|libnccl_device)\b/;
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
if (packages.includes(tensorflow)) copyLibraries();
writeFileSync(join(folder, 'sbom.cdx.json'), `${JSON.stringify(billOfMaterials(), null, 1)}\n`);
setTimes(folder);
if (libraries !== folder && existsSync(libraries)) setTimes(libraries);

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
  const isPackage = from !== bundle;
  cpSync(source, join(folder, to), {
    recursive: true,
    dereference: true,
    filter: (path) => {
      const inside = relative(source, path);
      // Packages within the package are of the list themselves, or of nobody's.
      if (inside.split('/').includes('node_modules')) return false;
      if (from === tensorflow && (inside === 'lib' || inside.startsWith('lib/'))) return false;
      return !leftOut.test(inside) && !(isPackage && leftOutOfPackages.test(inside));
    },
  });
}

/** TensorFlow's libraries, and CUDA's where TensorFlow's look for them: beside the folder that they lie in. */
function copyLibraries() {
  const from = realpathSync(join(root, tensorflow, 'lib/napi-v8'));
  const to = join(layer('tensorflow'), 'napi-v8');
  // Another service's image has brought them.
  if (existsSync(to)) return;
  cpSync(from, to, { recursive: true, dereference: true });
  for (const name of readdirSync(to)) strip(join(to, name));
  const cuda = join(from, '../nvidia');
  if (!existsSync(cuda)) return;
  const wheels = realpathSync(cuda);
  for (const name of readdirSync(wheels)) {
    if (leftOutOfCuda.test(`/${name}`)) continue;
    cpSync(join(wheels, name), join(layer(['cublas', 'cudnn'].includes(name) ? name : 'cuda'), 'nvidia', name), {
      recursive: true,
      dereference: true,
      filter: (path) => !leftOutOfCuda.test(`/${relative(wheels, path)}`),
    });
  }
}

/** The folder of native libraries in one of the layers. @param {string} name */
function layer(name) {
  return join(libraries === folder ? folder : join(libraries, name), tensorflow, 'lib');
}

/** Removes the symbols that only a debugger reads, a quarter of TensorFlow's library. @param {string} library */
function strip(library) {
  execFileSync('strip', ['--strip-unneeded', library]);
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
  const node = { type: 'platform', name: 'node', version: process.versions.node };
  const native = packages.includes(tensorflow)
    ? tensorflowWheels(process.env.KINDRED_TENSORFLOW || 'cpu')
        .filter(({ name }) => name !== 'nvidia-curand-cu12')
        .map(({ name, version: own, sha256 }) => ({
          type: 'library',
          name,
          version: own,
          purl: `pkg:pypi/${name}@${own}`,
          hashes: [{ alg: 'SHA-256', content: sha256 }],
        }))
    : [];
  const components = [{ ...node, purl: `pkg:generic/node@${node.version}` }, ...npm, ...native];
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

// TensorFlow for Node: the libraries of the Python wheel, the npm package's own addon and our operations compiled against them.
import { mkdirSync, readdirSync, symlinkSync, existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { outputOf, runLogged } from './command.mjs';
import { cachedFolder, contentKey, pointTo } from './content.mjs';
import { tensorflowWheels } from './tensorflow-wheels.mjs';
import { unpackWheel } from './wheel.mjs';

const PACKAGE = 'node_modules/@tensorflow/tfjs-node-gpu';
const SOURCES = ['tfjs_backend.cc', 'tfjs_binding.cc'];
/** Our operations; their kernels are written for x86-64, elsewhere TensorFlow's own are used. */
const OPERATIONS = 'libs/tensorflow-native/native';
const LIBRARIES = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];
// $ORIGIN: the libraries lie beside the addon, as links here and as files in a container image.
const FLAGS = ['-std=c++17', '-fPIC', '-shared', '-pthread', '-DNAPI_VERSION=8', '-Wl,-rpath,$ORIGIN'];

/**
 * The folder of the unpacked libraries for what `KINDRED_TENSORFLOW` asks for.
 * @param {string} cache
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string} it may not exist yet
 */
export function runtimeFolder(cache, env = process.env) {
  const wheels = tensorflowWheels(env.KINDRED_TENSORFLOW || 'cpu');
  const pins = Object.fromEntries(wheels.map(({ name, sha256, unpack }) => [name, `${sha256} ${unpack.join(' ')}`]));
  return join(cache, 'tensorflow-runtime', contentKey(pins));
}

/**
 * Makes `@tensorflow/tfjs-node-gpu` loadable in this checkout.
 * @param {import('./place.mjs').Place} place
 * @param {import('./steps.mjs').Progress} progress
 * @returns {Promise<'done' | 'cached'>}
 */
export async function provisionTensorflow({ root, cache, log }, progress) {
  const runtime = runtimeFolder(cache);
  await cachedFolder(runtime, async (temporary) => {
    for (const wheel of tensorflowWheels(process.env.KINDRED_TENSORFLOW || 'cpu')) {
      await unpackWheel(wheel, temporary, { log, progress });
    }
  });

  const sources = [join(root, PACKAGE, 'binding'), join(root, OPERATIONS)].flatMap((folder) =>
    readdirSync(folder)
      .sort()
      .map((name) => join(folder, name)),
  );
  const compiler = outputOf('g++', ['--version']) ?? '';
  const key = contentKey({ compiler, flags: FLAGS.join(' '), runtime: relative(cache, runtime) }, sources);
  const addon = join(cache, 'tensorflow-addon', key);
  await cachedFolder(addon, async (temporary) => {
    progress('compiling the addon');
    await compile(root, log, runtime, temporary, addon);
  });
  return pointTo(join(root, PACKAGE, 'lib/napi-v8'), join(addon, 'tensorflow'));
}

/**
 * Compiles into `folder/tensorflow`, where CUDA's packages are `../nvidia` as the wheel's libraries expect.
 * @param {string} root
 * @param {string} log
 * @param {string} runtime
 * @param {string} folder
 * @param {string} finalFolder
 */
async function compile(root, log, runtime, folder, finalFolder) {
  const output = join(folder, 'tensorflow');
  mkdirSync(output);
  const libraries = join(runtime, 'tensorflow');
  const include = ['-I', join(libraries, 'include'), '-I', join(root, 'node_modules/node-api-headers/include')];
  const link = ['-L', libraries, ...LIBRARIES.map((name) => `-l:${name}`)];
  const advice = 'g++ 9 or newer is needed; its messages are above.';
  const addons = [
    {
      name: 'tfjs_binding.node',
      optimize: '-O2',
      sources: SOURCES.map((name) => join(root, PACKAGE, 'binding', name)),
    },
    ...(process.arch === 'x64'
      ? [{ name: 'kindred_operations.node', optimize: '-O3', sources: sourcesOf(join(root, OPERATIONS)) }]
      : []),
  ];
  for (const { name, optimize, sources } of addons) {
    await runLogged(log, 'g++', [...FLAGS, optimize, ...include, ...sources, '-o', join(output, name), ...link], {
      advice,
    });
  }
  // Relative, so that the cache may be moved or mounted elsewhere.
  const place = join(finalFolder, 'tensorflow');
  for (const name of LIBRARIES) symlinkSync(relative(place, join(libraries, name)), join(output, name));
  const cuda = join(runtime, 'nvidia');
  if (existsSync(cuda)) symlinkSync(relative(finalFolder, cuda), join(folder, 'nvidia'));
}

/** @param {string} folder */
function sourcesOf(folder) {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.cc'))
    .sort()
    .map((name) => join(folder, name));
}

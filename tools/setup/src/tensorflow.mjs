// TensorFlow for Node: the libraries of the Python wheel, and the npm package's own addon compiled against them.
import { mkdirSync, readdirSync, symlinkSync, existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { outputOf, runLogged } from './command.mjs';
import { cachedFolder, contentKey, pointTo } from './content.mjs';
import { tensorflowWheels } from './tensorflow-wheels.mjs';
import { unpackWheel } from './wheel.mjs';

const PACKAGE = 'node_modules/@tensorflow/tfjs-node-gpu';
const SOURCES = ['tfjs_backend.cc', 'tfjs_binding.cc'];
const LIBRARIES = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];
// $ORIGIN: the libraries lie beside the addon, as links here and as files in a container image.
const FLAGS = ['-std=c++17', '-O2', '-fPIC', '-shared', '-DNAPI_VERSION=8', '-Wl,-rpath,$ORIGIN'];

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

  const binding = join(root, PACKAGE, 'binding');
  const sources = readdirSync(binding)
    .sort()
    .map((name) => join(binding, name));
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
  await runLogged(
    log,
    'g++',
    [
      ...FLAGS,
      ...['-I', join(libraries, 'include'), '-I', join(root, 'node_modules/node-api-headers/include')],
      ...SOURCES.map((name) => join(root, PACKAGE, 'binding', name)),
      ...['-o', join(output, 'tfjs_binding.node'), '-L', libraries],
      ...LIBRARIES.map((name) => `-l:${name}`),
    ],
    { advice: 'g++ 9 or newer is needed; its messages are above.' },
  );
  // Relative, so that the cache may be moved or mounted elsewhere.
  const place = join(finalFolder, 'tensorflow');
  for (const name of LIBRARIES) symlinkSync(relative(place, join(libraries, name)), join(output, name));
  const cuda = join(runtime, 'nvidia');
  if (existsSync(cuda)) symlinkSync(relative(finalFolder, cuda), join(folder, 'nvidia'));
}

// faiss for Node: the (patched) source of faiss-node compiled against the system's faiss, and this repository's own addon beside it.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { outputOf, runLogged } from './command.mjs';
import { cachedFolder, contentKey, fileDigest, pointTo } from './content.mjs';

const PACKAGE = 'node_modules/faiss-node';
const NAMES = join(import.meta.dirname, 'faiss-names.h');
const FLAGS = ['-std=c++17', '-O2', '-fPIC', '-shared', '-fopenmp', '-DNAPI_VERSION=8'];
const LIBRARIES = ['-lfaiss', '-lopenblas'];
const OWN = 'libs/faiss-native/native';
// Beside faiss-node's own: its folder of compiled files is the one that set-up links into this checkout.
const OUTPUTS = { package: 'faiss-node.node', own: 'kindred-faiss.node' };
// -O3 unrolls the kernels' loops over a tile, without which their sums are not kept in registers.
const OWN_FLAGS = ['-std=c++17', '-O3', '-fPIC', '-shared', '-fopenmp', '-DNAPI_VERSION=8', '-ffp-contract=fast'];

/**
 * Makes `faiss-node` loadable in this checkout, and `kindred-faiss.node`, which the services use, beside its addon.
 * @param {import('./place.mjs').Place} place
 * @param {import('./steps.mjs').Progress} progress
 * @returns {Promise<'done' | 'cached'>}
 */
export async function provisionFaiss({ root, cache, log }, progress) {
  const source = join(root, PACKAGE, 'src/faiss.cc');
  const headers = ['node-addon-api/napi.h', 'node-addon-api/napi-inl.h', 'node-api-headers/include/node_api.h'];
  const parts = {
    compiler: outputOf('g++', ['--version']) ?? '',
    flags: [...FLAGS, ...LIBRARIES, ...OWN_FLAGS].join(' '),
    faiss: await fileDigest(faissLibrary()),
    outputs: Object.values(OUTPUTS).join(' '),
  };
  const own = readdirSync(join(root, OWN))
    .sort()
    .map((name) => join(root, OWN, name));
  const includes = ['node-addon-api', 'node-api-headers/include'].flatMap((name) => [
    '-I',
    join(root, 'node_modules', name),
  ]);
  const files = [
    source,
    ...own,
    NAMES,
    '/usr/include/faiss/Index.h',
    ...headers.map((name) => join(root, 'node_modules', name)),
  ];
  const addon = join(cache, 'faiss-addon', contentKey(parts, files));
  await cachedFolder(addon, async (temporary) => {
    progress('compiling the addons');
    await runLogged(
      log,
      'g++',
      [
        ...FLAGS,
        ...['-include', NAMES],
        ...includes,
        ...[source, '-o', join(temporary, OUTPUTS.package)],
        ...LIBRARIES,
      ],
      { advice: 'faiss 1.7.3 or newer is needed (Debian 12, Ubuntu 24.04); the messages of g++ are above.' },
    );
    const sources = own.filter((file) => file.endsWith('.cc'));
    const output = ['-o', join(temporary, OUTPUTS.own)];
    await runLogged(log, 'g++', [...OWN_FLAGS, '-include', NAMES, ...includes, ...sources, ...output, ...LIBRARIES], {
      advice: 'g++ 9 and faiss 1.7.3 or newer are needed; the messages of g++ are above.',
    });
  });
  return pointTo(join(root, PACKAGE, 'build/Release'), addon);
}

function faissLibrary() {
  const names = ['libfaiss.so', 'libfaiss.a'].map((name) => outputOf('g++', [`-print-file-name=${name}`]) ?? '');
  return names.find((path) => path.startsWith('/') && existsSync(path)) ?? '';
}

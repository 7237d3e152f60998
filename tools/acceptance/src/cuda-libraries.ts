// Which libraries of CUDA TensorFlow opens by name, and where its own run paths, which an image has no setting beside, lead to them.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const libraries = '/app/node_modules/@tensorflow/tfjs-node-gpu/lib';

/** By who opens them. cuDNN's parts are opened by cuDNN, NVRTC by cuDNN's graphs. */
const opened = {
  'napi-v8/libtensorflow_framework.so.2': [
    ...['libcudart.so.12', 'libcublas.so.12', 'libcublasLt.so.12', 'libcufft.so.11', 'libcusparse.so.12'],
    ...['libcudnn.so.9', 'libcupti.so.12', 'libnccl.so.2'],
  ],
  'napi-v8/libtensorflow_cc.so.2': ['libcusolver.so.11'],
  'nvidia/cudnn/lib/libcudnn_graph.so.9': ['libnvrtc.so.12'],
};

/**
 * Paths inside the image whose files are at `root`: each library that is opened by name, as the opener's run path finds it, and all parts of
 * cuDNN. @throws Error where one is not found
 */
export function cudaLibraries(root: string): string[] {
  const found = Object.entries(opened).flatMap(([opener, names]) => {
    const path = join(libraries, opener);
    const folders = runPath(join(root, path)).map((folder) => normalize(folder.replace('$ORIGIN', dirname(path))));
    return names.map((name) => {
      const folder = folders.find((one) => existsSync(join(root, one, name)));
      if (folder === undefined) throw new Error(`${opener} does not find ${name} in ${folders.join(', ')}`);
      return join(folder, name);
    });
  });
  const cudnn = join(libraries, 'nvidia/cudnn/lib');
  return [...found, ...readdirSync(join(root, cudnn)).map((name) => join(cudnn, name))];
}

/** A program for Node: opens each library that is named to it, with all that it needs, and prints what the loader said. */
export const openEach = `
const said = {};
for (const path of process.argv.slice(1)) {
  try {
    process.dlopen({ exports: {} }, path, require('os').constants.dlopen.RTLD_NOW);
  } catch (error) {
    said[path] = error.message;
  }
}
console.log(JSON.stringify(said));
`;

function runPath(library: string): string[] {
  const text = execFileSync('objdump', ['-p', library], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  return [...new Set((/^\s+RUNPATH\s+(.*)$/m.exec(text)?.[1] ?? '').split(':'))];
}

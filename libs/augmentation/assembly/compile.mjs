// `nx run augmentation:generate`: compiles the kernels and writes them as a module that source and bundles import alike.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';

const folder = import.meta.dirname;
const generated = join(folder, '../src/generated');

/** @type {Uint8Array | null} */
let binary = null;
const { error, stderr } = await asc.main(
  [
    'index.ts',
    ...['--baseDir', folder, '--outFile', 'kernels.wasm'],
    // No objects, hence no runtime; vectors only pass between functions that end up inlined, hence no warning 112.
    ...['--runtime', 'stub', '--noAssert', '--enable', 'simd', '--disableWarning', '112'],
    ...['--optimizeLevel', '3', '--shrinkLevel', '0'],
  ],
  { writeFile: (_name, contents) => void (binary = /** @type {Uint8Array} */ (contents)) },
);
if (error !== null || binary === null) {
  process.stderr.write(stderr.toString());
  process.exit(1);
}
mkdirSync(generated, { recursive: true });
writeFileSync(
  join(generated, 'kernel-binary.ts'),
  `// Made from assembly/ by assembly/compile.mjs; not to be edited.\n\n/** The kernels as a WebAssembly module, base64. */\nexport const kernelBinary =\n  '${Buffer.from(binary).toString('base64')}';\n`,
);

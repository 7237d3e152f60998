// `node tools/build/bundle.mjs services/trainer`: bundles a service or tool with the workspace's own libraries inside.
// npm packages stay outside: native ones cannot be bundled, and a package's own files are found beside it.
import { cpSync, existsSync, readFileSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { build } from 'esbuild';

const root = resolve(import.meta.dirname, '../..');
const project = process.argv[2];
if (project === undefined || !existsSync(join(root, project, 'package.json'))) {
  console.error(`usage: node tools/build/bundle.mjs PROJECT_ROOT, e.g. services/trainer; got '${project ?? ''}'`);
  process.exit(2);
}
const output = join(root, 'dist', project);
const { kindred } = readManifest(join(root, project));
if (kindred?.entries === undefined) {
  console.error(`${project}/package.json names no entries: {"kindred": {"entries": {"main": "src/main.ts"}}}`);
  process.exit(2);
}

/** Leaves everything outside but this workspace's own libraries and relative files. */
const workspaceOnly = {
  name: 'workspace-only',
  /** @param {import('esbuild').PluginBuild} hooks */
  setup(hooks) {
    hooks.onResolve({ filter: /^[^./]/ }, ({ path }) =>
      path.startsWith('@kindred/') ? undefined : { path, external: true },
    );
  },
};

/** @param {Record<string, string>} entries file by name */
function bundle(entries) {
  return build({
    entryPoints: Object.entries(entries).map(([out, file]) => ({ in: file, out })),
    outdir: output,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    sourcemap: true,
    metafile: true,
    logLevel: 'warning',
    absWorkingDir: root,
    plugins: [workspaceOnly],
  });
}

rmSync(output, { recursive: true, force: true });
const entries = Object.fromEntries(
  Object.entries(kindred.entries).map(([name, file]) => [name, join(root, project, /** @type {string} */ (file))]),
);
const bundled = new Set();
const folders = new Set();
// A worker's file is named by URL at run time, not imported: each one beside a bundled source becomes an entry of its own. What
// such a worker bundles may bring workers in turn.
for (let next = entries; Object.keys(next).length > 0;) {
  const { metafile } = await bundle(next).catch(() => process.exit(1));
  for (const name of Object.keys(next)) bundled.add(name);
  for (const file of Object.keys(metafile.inputs)) folders.add(realpathSync(join(root, dirname(file))));
  next = Object.fromEntries(
    [...folders].flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => name.endsWith('.worker.ts') && !name.startsWith('example.'))
        .filter((name) => !bundled.has(basename(name, '.ts')))
        .map((name) => [basename(name, '.ts'), join(folder, name)]),
    ),
  );
}

// Files that a library reads beside itself, e.g. the contract's descriptors.
const projects = new Set([...folders].map((folder) => folder.replace(/\/src(\/.*)?$/, '')));
for (const folder of projects) {
  for (const asset of readManifest(folder).kindred?.assets ?? []) {
    cpSync(join(folder, asset), join(output, basename(asset)));
  }
}

/** @param {string} folder */
function readManifest(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
}

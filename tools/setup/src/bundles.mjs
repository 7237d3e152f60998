// The services and tools, bundled by Nx; skipped without starting Nx when no source has changed.
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runLogged } from './command.mjs';
import { contentKey } from './content.mjs';

const STAMP = 'dist/.bundles';
const SOURCE_FOLDERS = ['libs', 'services', 'tools', 'proto'];
const SOURCE_FILES = ['package-lock.json', 'package.json', 'nx.json', 'tsconfig.base.json', 'buf.yaml', 'buf.gen.yaml'];
const SKIPPED = new Set(['node_modules', 'dist', 'generated', 'testdata', '.scratch']);

/**
 * Builds every project that has a build target.
 * @param {import('./place.mjs').Place} place
 * @param {import('./steps.mjs').Progress} progress
 * @returns {Promise<'done' | 'cached'>}
 */
export async function buildBundles({ root, log }, progress) {
  const sources = [
    ...SOURCE_FILES.map((name) => join(root, name)).filter((file) => existsSync(file)),
    ...SOURCE_FOLDERS.flatMap((name) => sourceFiles(join(root, name))),
  ];
  const key = contentKey(
    { node: process.version, files: sources.map((file) => file.slice(root.length)).join('\n') },
    sources,
  );
  const stamp = join(root, STAMP);
  if (
    existsSync(stamp) &&
    readFileSync(stamp, 'utf8') === key &&
    bundledMains(root).every((file) => existsSync(file))
  ) {
    return 'cached';
  }
  progress('nx run-many -t build');
  await runLogged(
    log,
    process.execPath,
    ['node_modules/nx/dist/bin/nx.js', 'run-many', '-t', 'build', '--output-style=stream'],
    {
      cwd: root,
      env: { NX_DAEMON: 'false', NX_TUI: 'false', NO_COLOR: '1' },
      advice: 'The sources do not build; the messages are above. (npm run build does this step alone.)',
    },
  );
  mkdirSync(join(root, 'dist'), { recursive: true });
  writeFileSync(stamp, key);
  return 'done';
}

/**
 * The files that a build must have left, one for each entry of each project.
 * @param {string} root
 * @returns {string[]}
 */
function bundledMains(root) {
  return ['services', 'tools'].flatMap((group) =>
    readdirSync(join(root, group)).flatMap((name) => {
      const manifest = join(root, group, name, 'package.json');
      if (!existsSync(manifest)) return [];
      const { kindred } = JSON.parse(readFileSync(manifest, 'utf8'));
      return Object.keys(kindred?.entries ?? {}).map((entry) => join(root, 'dist', group, name, `${entry}.js`));
    }),
  );
}

/** @param {string} folder @returns {string[]} files, sorted */
function sourceFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      if (SKIPPED.has(entry.name) || entry.name.includes('.spec.')) return [];
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return sourceFiles(path);
      return entry.isFile() ? [path] : [];
    });
}

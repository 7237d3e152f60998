// One test configuration for every project; `vitest run --dir libs/x` limits a run to one of them.
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { defineConfig } from 'vitest/config';

const root = import.meta.dirname;
const directory = process.argv[process.argv.indexOf('--dir') + 1] ?? '.';
const manifest = join(resolve(root, directory), 'package.json');
const project = existsSync(manifest)
  ? (JSON.parse(readFileSync(manifest, 'utf8')) as { name: string }).name.replace('@kindred/', '')
  : 'all';

export default defineConfig({
  root,
  test: {
    include: ['**/*.spec.ts', '**/*.spec.mjs'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    pool: 'forks',
    // Two cores are the smallest machine that this runs on; native addons bring their own threads.
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    passWithNoTests: false,
    reporters: ['default', 'json'],
    outputFile: { json: join(root, 'dist/test-results', `${project}.json`) },
  },
});

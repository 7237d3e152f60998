// `npm test`: format, contracts, lint, types, unit and story tests. Ends with the line `N passed, N failed`.
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { countTests, printFailures } from './count.mjs';
import { runStep } from './step.mjs';

const root = resolve(import.meta.dirname, '../..');
const results = join(root, 'dist/test-results');

// Nx brings back the results of projects that have not changed; results of others must not outlive their tests.
rmSync(results, { recursive: true, force: true });

const failedSteps = [
  runStep(root, 'format', 'prettier', ['--check', '--log-level', 'warn', '.']),
  runStep(root, 'contracts', 'buf', ['lint']),
  ...breakingSteps(),
  runStep(root, 'lint and types', 'nx', ['run-many', '-t', 'lint', 'typecheck', '--output-style=stream']),
  runStep(root, 'tests', 'nx', ['run-many', '-t', 'test', '--output-style=stream']),
].filter((step) => step !== null);

const { passed, failed, files, failures } = countTests(root, results);
printFailures(failures);
for (const step of failedSteps) console.log(`failed: ${step}`);
console.log(`${files} projects tested`);
// A step that failed without a failing test (lint, types, a crash) counts as one failure.
const stepFailures = failed > 0 ? failedSteps.filter((step) => step !== 'tests').length : failedSteps.length;
console.log(`${passed} passed, ${failed + stepFailures} failed`);
process.exitCode = failedSteps.length > 0 || failed > 0 || passed === 0 ? 1 : 0;

/** Checks that the contracts keep what the last release promised; before the first release there is no promise. */
function breakingSteps() {
  if (!existsSync(join(root, '.git'))) return [];
  const tags = execFileSync('git', ['tag', '--list', 'v*', '--sort=-version:refname'], { cwd: root, encoding: 'utf8' });
  const latest = tags.split('\n')[0];
  if (latest === undefined || latest === '') return [];
  return [runStep(root, `contracts against ${latest}`, 'buf', ['breaking', '--against', `.git#tag=${latest}`])];
}

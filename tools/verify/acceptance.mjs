// `npm run acceptance [-- SUITE…]`: the heavy suites of tools/acceptance. Ends with the line `N passed, N failed`.
import { readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { countTests, printFailures } from './count.mjs';
import { runStep } from './step.mjs';

const root = resolve(import.meta.dirname, '../..');
const sources = join(root, 'tools/acceptance/src');
const results = join(root, 'dist/acceptance-results');
const ending = '.acceptance.ts';

const known = readdirSync(sources)
  .filter((name) => name.endsWith(ending))
  .map((name) => name.slice(0, -ending.length));
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`unknown suite: ${unknown.join(', ')}; known: ${known.join(', ')}`);
  process.exit(2);
}

rmSync(results, { recursive: true, force: true });
const steps = (asked.length > 0 ? asked : known).map((suite) =>
  runStep(root, `acceptance ${suite}`, 'vitest', [
    'run',
    '--config',
    'tools/acceptance/vitest.config.ts',
    join('tools/acceptance/src', `${suite}${ending}`),
    `--outputFile.json=${join(results, `${suite}.json`)}`,
  ]),
);
const failedSteps = steps.filter((step) => step !== null);
const { passed, failed, failures } = countTests(root, results);
printFailures(failures);
console.log(`${passed} passed, ${Math.max(failed, failedSteps.length)} failed`);
process.exitCode = failedSteps.length > 0 || failed > 0 || passed === 0 ? 1 : 0;

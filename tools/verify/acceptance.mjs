// `npm run acceptance [-- SUITE…]`: the heavy suites of tools/acceptance, but for those that have to be named. Ends with the line `N passed, N failed`.
import { spawnSync } from 'node:child_process';
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
// `kubernetes` is `kubernetes-scheduling`, too.
const isOf = (/** @type {string} */ suite, /** @type {string} */ name) =>
  suite === name || suite.startsWith(`${name}-`);
const unknown = asked.filter((name) => !known.some((suite) => isOf(suite, name)));
if (unknown.length > 0) {
  console.error(`unknown suite: ${unknown.join(', ')}; known: ${known.join(', ')}`);
  process.exit(2);
}

/** Only when they are named: builds of many minutes and gigabytes, of files that another suite runs without. */
const named = new Set(['containers']);

/** Their programs listen on all interfaces, whatever they are told: they get a network of their own, where the machine allows it. */
const enclosed = new Set(['neighbors-cluster']);

rmSync(results, { recursive: true, force: true });
const steps = known
  .filter((suite) => (asked.length === 0 && !named.has(suite)) || asked.some((name) => isOf(suite, name)))
  .map((suite) => {
    const [program = '', ...before] = enclosed.has(suite) ? enclosure(suite) : ['vitest'];
    return runStep(root, `acceptance ${suite}`, program, [
      ...before,
      'run',
      '--config',
      'tools/acceptance/vitest.config.ts',
      join('tools/acceptance/src', `${suite}${ending}`),
      `--outputFile.json=${join(results, `${suite}.json`)}`,
    ]);
  });
const failedSteps = steps.filter((step) => step !== null);
const { passed, failed, failures } = countTests(root, results);
printFailures(failures);
console.log(`${passed} passed, ${Math.max(failed, failedSteps.length)} failed`);
process.exitCode = failedSteps.length > 0 || failed > 0 || passed === 0 ? 1 : 0;

/**
 * What runs vitest in a network namespace with only loopback; just vitest, with a loud line, where that cannot be.
 * @param {string} suite
 */
function enclosure(suite) {
  const privileges = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  // Built out here: nothing can be fetched inside.
  spawnSync(process.execPath, [join(root, 'tools/setup/go-program.mjs'), 'weaviate'], {
    stdio: ['ignore', 'ignore', 2],
  });
  const inside = ['unshare', ...privileges, '--net', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"'];
  const [unshare = '', ...rest] = inside;
  if (spawnSync(unshare, [...rest, 'true'], { stdio: 'ignore' }).status === 0) return [...inside, 'vitest'];
  console.error(`\n!!! ${suite} runs without a network of its own (unshare and ip are needed for that)\n`);
  return ['vitest'];
}

// `npm run setup`: makes this checkout ready on a fresh machine; a second run has nothing to do and takes a second or two.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildBundles } from './src/bundles.mjs';
import { contentKey } from './src/content.mjs';
import { provisionFaiss } from './src/faiss.mjs';
import { withLock } from './src/lock.mjs';
import { installNpmPackages } from './src/npm-packages.mjs';
import { applyPatches } from './src/patches.mjs';
import { preparePlace } from './src/place.mjs';
import { ExitCode, SetupError } from './src/setup-error.mjs';
import { explainFailure, runStep } from './src/steps.mjs';
import { checkNodeVersion, installSystemPackages } from './src/system-packages.mjs';
import { provisionTensorflow, runtimeFolder } from './src/tensorflow.mjs';

const USAGE = 'usage: node tools/setup/setup.mjs [--only system,npm,patches,tensorflow,faiss,bundles]';
const place = preparePlace(resolve(import.meta.dirname, '../..'), process.env);
const locks = join(place.cache, 'locks');

/** @type {Record<string, [string, (progress: import('./src/steps.mjs').Progress) => Promise<'done' | 'cached'>]>} */
const steps = {
  system: ['system packages', (progress) => installSystemPackages(place.log, { download: needsDownload(), progress })],
  npm: ['npm packages', (progress) => installNpmPackages(place, progress)],
  patches: ['patches', (progress) => applyPatches(place, progress)],
  tensorflow: ['TensorFlow', (progress) => native(progress, () => provisionTensorflow(place, progress))],
  faiss: ['faiss', (progress) => native(progress, () => provisionFaiss(place, progress))],
  bundles: ['services and tools', (progress) => buildBundles(place, progress)],
};

// A stopped run ends through process.exit, so that locks are given back and compilers end with it.
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

try {
  const chosen = chosenSteps();
  checkNodeVersion(process.versions.node);
  const own = join(locks, `checkout-${contentKey({ root: place.root })}`);
  const onWait = once((owner) => console.log(`waiting for the set-up of this checkout by process ${owner}`));
  await withLock(own, () => runAll(chosen), { onWait });
} catch (error) {
  console.error(`\n${explainFailure(error, place.log)}`);
  process.exitCode = error instanceof SetupError ? error.exitCode : ExitCode.failed;
}

/** @param {readonly string[]} chosen */
async function runAll(chosen) {
  for (const [name, [title, step]] of Object.entries(steps)) {
    if (chosen.includes(name)) await runStep(title, step);
  }
}

function chosenSteps() {
  const all = Object.keys(steps);
  try {
    const { values } = parseArgs({ options: { only: { type: 'string' } } });
    const chosen = values.only?.split(',') ?? all;
    const unknown = chosen.find((name) => !all.includes(name));
    if (unknown === undefined) return chosen;
    throw new Error(`unknown step '${unknown}'`);
  } catch (cause) {
    throw new SetupError(/** @type {Error} */ (cause).message, { advice: USAGE, exitCode: ExitCode.usage, cause });
  }
}

function needsDownload() {
  return !existsSync(runtimeFolder(place.cache));
}

/**
 * The cache belongs to all checkouts of this user: one builds, the others wait and then find it there.
 * @param {import('./src/steps.mjs').Progress} progress
 * @param {() => Promise<'done' | 'cached'>} work
 */
function native(progress, work) {
  return withLock(join(locks, 'native'), work, { onWait: (owner) => progress(`waiting for process ${owner}`) });
}

/** @param {(owner: string) => void} say @returns {(owner: string) => void} */
function once(say) {
  let said = false;
  return (owner) => {
    if (!said) say(owner);
    said = true;
  };
}

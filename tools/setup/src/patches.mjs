// The changes in patches/, made to the installed packages; files that carry an older version of a patch are renewed first.
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runLogged } from './command.mjs';
import { SetupError } from './setup-error.mjs';

const STAMP = 'node_modules/.kindred-patches.json';

/**
 * One patch file, and what it touches.
 * @typedef {object} Patch
 * @property {string} package e.g. `faiss-node`
 * @property {string} version
 * @property {readonly string[]} files relative to the checkout
 */

/**
 * Applies the patches unless the patched files are as the last application left them.
 * @param {import('./place.mjs').Place} place
 * @param {import('./steps.mjs').Progress} progress
 * @returns {Promise<'done' | 'cached'>}
 */
export async function applyPatches({ root, log }, progress) {
  const folder = join(root, 'patches');
  const names = readdirSync(folder).filter((name) => name.endsWith('.patch'));
  const texts = names.map((name) => readFileSync(join(folder, name), 'utf8'));
  const patches = names.map((name, i) => readPatch(name, texts[i] ?? ''));
  const state = () =>
    JSON.stringify([texts.map(digest), patches.map((patch) => patch.files.map((file) => digestOf(join(root, file))))]);
  const stamp = join(root, STAMP);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === state()) return 'cached';

  for (const patch of patches) {
    progress(patch.package);
    await restoreFiles(root, log, patch);
  }
  progress('patch-package');
  await runLogged(log, process.execPath, ['node_modules/patch-package/index.js', '--error-on-fail'], {
    cwd: root,
    advice: 'Remove node_modules and run the set-up again.',
  });
  writeFileSync(stamp, state());
  return 'done';
}

/**
 * Reads the package from the patch's name and the touched files from its text.
 * @param {string} name e.g. `@scope+name+1.2.3.patch`
 * @param {string} text
 * @returns {Patch}
 */
export function readPatch(name, text) {
  const parts = name.replace(/\.patch$/, '').split('+');
  const version = parts.pop() ?? '';
  const files = [...text.matchAll(/^--- a\/(.+)$/gm)].map((match) => match[1] ?? '');
  return { package: parts.join('/'), version, files };
}

/**
 * Puts the package's own version of the touched files back, from the archive that the lock file pins.
 * @param {string} root
 * @param {string} log
 * @param {Patch} patch
 */
async function restoreFiles(root, log, patch) {
  const folder = `node_modules/${patch.package}`;
  const locked = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages[folder];
  if (locked?.version !== patch.version) {
    throw new SetupError(
      `patches/ has one for ${patch.package} ${patch.version}, the lock file has ${locked?.version}`,
      {
        advice: `Make the patch again for that version, or pin ${patch.package} ${patch.version}.`,
      },
    );
  }
  const temporary = mkdtempSync(join(root, 'node_modules/.kindred-'));
  try {
    const spec = `${patch.package}@${patch.version}`;
    await runLogged(log, 'npm', ['pack', spec, '--ignore-scripts', '--pack-destination', temporary], { cwd: root });
    const archive = join(temporary, readdirSync(temporary).find((name) => name.endsWith('.tgz')) ?? '');
    const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
    if (found !== locked.integrity)
      throw new SetupError(`${spec} is not the archive that the lock file pins: ${found}`);
    await runLogged(log, 'tar', ['-xzf', archive, '-C', temporary, '--strip-components=1']);
    for (const file of patch.files) {
      copyFileSync(join(temporary, file.slice(folder.length + 1)), join(root, file));
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** @param {string} file */
function digestOf(file) {
  return existsSync(file) ? digest(readFileSync(file)) : 'missing';
}

/** @param {string | Buffer} content */
function digest(content) {
  return createHash('sha256').update(content).digest('hex');
}

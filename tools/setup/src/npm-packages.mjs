// npm packages as the lock file has them, without running any of their download scripts.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runLogged } from './command.mjs';

/**
 * @typedef {{ version?: string, integrity?: string, resolved?: string, link?: boolean, optional?: boolean,
 *   devOptional?: boolean, peer?: boolean }} LockedPackage
 * @typedef {Record<string, LockedPackage>} LockedPackages by folder, e.g. `node_modules/zod`
 */

/**
 * Installs what `package-lock.json` says, unless exactly that is installed.
 * @param {import('./place.mjs').Place} place
 * @param {import('./steps.mjs').Progress} progress
 * @returns {Promise<'done' | 'cached'>}
 */
export async function installNpmPackages({ root, log }, progress) {
  if (isInstalled(root)) return 'cached';
  progress('npm ci');
  await runLogged(log, 'npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: root,
    advice: 'Check the connection to the npm registry (npm ping), then run the set-up again.',
  });
  return 'done';
}

/** @param {string} root */
function isInstalled(root) {
  // npm writes this file last, so an interrupted installation lacks it.
  const written = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(written)) return false;
  const installed = readPackages(written);
  return (
    sameInstallation(readPackages(join(root, 'package-lock.json')), installed) &&
    Object.keys(installed).every((folder) => existsSync(join(root, folder)))
  );
}

/**
 * Whether npm's record of what it installed is what the lock file asks for. Optional packages may be absent: most are
 * builds for other platforms.
 * @param {LockedPackages} locked
 * @param {LockedPackages} installed
 * @returns {boolean}
 */
export function sameInstallation(locked, installed) {
  const wanted = Object.keys(locked).filter((folder) => folder.includes('node_modules/'));
  const extra = Object.keys(installed).some((folder) => locked[folder] === undefined);
  return (
    !extra &&
    wanted.every((folder) => {
      const { version, integrity, resolved, link, optional, devOptional } = locked[folder] ?? {};
      const there = installed[folder];
      if (there === undefined) return optional === true || devOptional === true;
      if (link) return there.link === true && there.resolved === resolved;
      return there.version === version && there.integrity === integrity;
    })
  );
}

/** @param {string} file @returns {LockedPackages} */
function readPackages(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages ?? {};
}

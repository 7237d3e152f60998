// Where things are: the checkout, the user's cache, this run's log.
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

const KEPT_LOGS = 10;

/**
 * The folders of one run.
 * @typedef {object} Place
 * @property {string} root the checkout
 * @property {string} cache what was built on this machine, by content; `KINDRED_CACHE`, else `$XDG_CACHE_HOME/kindred`
 * @property {string} log the file that takes what the programs say
 */

/**
 * The cache folder that the environment names.
 * @param {NodeJS.ProcessEnv} env
 * @returns {string} an absolute path
 */
export function cacheFolder(env) {
  if (env.KINDRED_CACHE) return resolve(env.KINDRED_CACHE);
  return join(env.XDG_CACHE_HOME ? resolve(env.XDG_CACHE_HOME) : join(homedir(), '.cache'), 'kindred');
}

/**
 * Makes the cache and log folders and removes the oldest logs.
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @returns {Place}
 */
export function preparePlace(root, env) {
  const cache = cacheFolder(env);
  const logs = join(cache, 'logs');
  mkdirSync(logs, { recursive: true });
  for (const old of readdirSync(logs).sort().slice(0, -KEPT_LOGS)) rmSync(join(logs, old), { force: true });
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, '-');
  return { root, cache, log: join(logs, `setup-${stamp}-${process.pid}.log`) };
}

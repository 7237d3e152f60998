// One step of a check: runs a program of the workspace and says how long it took.
import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';

/**
 * Runs `program` from the workspace's `node_modules/.bin`.
 *
 * @param {string} root the workspace's folder
 * @param {string} name what the step is called in the output
 * @param {string} program
 * @param {string[]} args
 * @returns {string | null} the step's name if it failed, else null
 */
export function runStep(root, name, program, args) {
  const started = performance.now();
  const path = `${join(root, 'node_modules/.bin')}${delimiter}${process.env['PATH'] ?? ''}`;
  const { status } = spawnSync(program, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, PATH: path, NX_DAEMON: 'false', NX_TUI: 'false' },
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${status === 0 ? '✔' : '✘'} ${name}  ${seconds} s`);
  return status === 0 ? null : name;
}

// Runs programs: all they say goes to the log, nothing to the terminal.
import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, closeSync, openSync } from 'node:fs';
import { SetupError } from './setup-error.mjs';

/**
 * Runs a program to its end, its output appended to the log.
 * @param {string} log
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, advice?: string }} [options]
 * @returns {Promise<void>} rejects with a SetupError when the program fails or is missing
 */
export function runLogged(log, program, args, { cwd, env, advice } = {}) {
  appendFileSync(log, `\n$ ${program} ${args.join(' ')}\n`);
  const output = openSync(log, 'a');
  return new Promise((done, fail) => {
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', output, output] });
    // A set-up that is stopped takes its compilers and downloads with it.
    const stop = () => child.kill('SIGTERM');
    process.once('exit', stop);
    const settle = () => {
      process.removeListener('exit', stop);
      closeSync(output);
    };
    child.once('error', (cause) => {
      settle();
      fail(new SetupError(`${program} could not be started: ${cause.message}`, { advice, cause }));
    });
    child.once('close', (code, signal) => {
      settle();
      if (code === 0) done();
      else fail(new SetupError(`${program} ended with ${signal ?? `exit code ${code}`}`, { advice }));
    });
  });
}

/**
 * What a quick program prints.
 * @param {string} program
 * @param {readonly string[]} args
 * @returns {string | null} its trimmed output, or null when it is missing or fails
 */
export function outputOf(program, args) {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return status === 0 ? stdout.trim() : null;
}

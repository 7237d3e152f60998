// One line a step: what it is, whether there was anything to do, how long it took.
import { readFileSync } from 'node:fs';
import { SetupError } from './setup-error.mjs';

const LAST_LINES = 15;
const REDRAW_MS = 200;

/**
 * What a step reports while it runs: a few words, such as `compiling`.
 * @callback Progress
 * @param {string} words
 * @returns {void}
 */

/**
 * Runs one step and prints its line; while it runs, a terminal shows what it is at.
 * @param {string} title
 * @param {(progress: Progress) => Promise<'done' | 'cached'>} step `cached`: there was nothing to do
 * @param {NodeJS.WriteStream} [out]
 * @returns {Promise<void>} rejects with what the step threw
 */
export async function runStep(title, step, out = process.stdout) {
  const started = performance.now();
  let words = '';
  const redraw = () => out.write(`\r\u001b[2K… ${line(title, `${seconds(started)}  ${words}`)}`);
  const timer = out.isTTY ? setInterval(redraw, REDRAW_MS) : undefined;
  const finish = (/** @type {string} */ mark, /** @type {string} */ note) => {
    clearInterval(timer);
    out.write(`${out.isTTY ? '\r\u001b[2K' : ''}${mark} ${line(title, note)}\n`);
  };
  try {
    const outcome = await step((now) => (words = now));
    finish('✔', outcome === 'cached' ? `${seconds(started)}  cached` : seconds(started));
  } catch (error) {
    finish('✘', seconds(started));
    throw error;
  }
}

/**
 * The text for a set-up that stopped: what happened, what to do, where the log is and how it ends.
 * @param {unknown} error
 * @param {string} log
 * @returns {string}
 */
export function explainFailure(error, log) {
  const known = error instanceof SetupError;
  const lines = [`setup: ${known ? error.message : (error instanceof Error && error.stack) || String(error)}`];
  const tail = lastLines(log);
  if (tail !== '') lines.push('', tail, '', `The whole log: ${log}`);
  if (known && error.advice) lines.push('', error.advice);
  return lines.join('\n');
}

/** @param {string} log */
function lastLines(log) {
  try {
    const all = readFileSync(log, 'utf8').trimEnd().split('\n');
    return all.slice(-LAST_LINES).join('\n');
  } catch {
    return '';
  }
}

/**
 * @param {string} title
 * @param {string} note
 */
function line(title, note) {
  return `${title.padEnd(24)} ${note}`;
}

/** @param {number} started */
function seconds(started) {
  return `${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s`;
}

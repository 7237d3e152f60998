// Adds up the test results that vitest has written, one file a project.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';

/**
 * @typedef {{ name: string, status: string, message: string, assertionResults: { status: string, fullName: string, failureMessages: string[] }[] }} FileResult
 * @typedef {{ numPassedTests: number, numFailedTests: number, testResults: FileResult[] }} Report
 */

/**
 * @param {string} root the workspace's folder
 * @param {string} folder holds vitest's JSON reports
 * @returns {{ passed: number, failed: number, files: number, failures: string[] }} a test file that could not be loaded
 *   is one failure; `failures` names each with its file and reason
 */
export function countTests(root, folder) {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : [];
  let passed = 0;
  let failed = 0;
  const failures = [];
  for (const name of names) {
    /** @type {Report} */
    const report = JSON.parse(readFileSync(join(folder, name), 'utf8'));
    passed += report.numPassedTests;
    failed += report.numFailedTests;
    for (const file of report.testResults) {
      const path = relative(root, file.name);
      if (file.status === 'failed' && file.assertionResults.length === 0) {
        failed++;
        failures.push(`${path}: ${file.message}`);
      }
      for (const test of file.assertionResults.filter(({ status }) => status === 'failed')) {
        failures.push(`${path} › ${test.fullName}: ${test.failureMessages.join('\n')}`);
      }
    }
  }
  return { passed, failed, files: names.length, failures };
}

/**
 * Prints each failure again, below all other output, where somebody will look for it.
 *
 * @param {string[]} failures as {@link countTests} gives them
 */
export function printFailures(failures) {
  for (const failure of failures) console.log(`✘ ${failure}`);
}

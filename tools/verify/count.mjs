// Adds up the test results that vitest has written, one file a project.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @param {string} folder holds vitest's JSON reports
 * @returns {{ passed: number, failed: number, files: number }} a test file that could not be loaded is one failure
 */
export function countTests(folder) {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : [];
  let passed = 0;
  let failed = 0;
  for (const name of names) {
    const report = JSON.parse(readFileSync(join(folder, name), 'utf8'));
    passed += report.numPassedTests;
    failed += report.numFailedTests;
    failed += report.testResults.filter(
      (/** @type {{ status: string, assertionResults: unknown[] }} */ file) =>
        file.status === 'failed' && file.assertionResults.length === 0,
    ).length;
  }
  return { passed, failed, files: names.length };
}

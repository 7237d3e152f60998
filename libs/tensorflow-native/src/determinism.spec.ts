// Bit for bit: two runs of one training, and a run that stopped and went on in a new process.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';

// Four processes that each load TensorFlow: 10 s on two free cores, many times that where others compute beside it.
const timeoutMs = 600_000;

const script = fileURLToPath(new URL('./spec/run-steps.ts', import.meta.url));

describe.each([8, 16])('training at width %i', (width) => {
  const folder = temporaryFolder('determinism');

  it('gives the same bits again, and after a restart in mid-run', { timeout: timeoutMs }, () => {
    const first = run(width, 0, 10, '', join(folder, 'first'));
    expect(run(width, 0, 10, '', join(folder, 'second')).equals(first)).toBe(true);
    const half = run(width, 0, 4, '', join(folder, 'half'));
    expect(half.equals(first)).toBe(false);
    expect(run(width, 4, 10, join(folder, 'half'), join(folder, 'whole')).equals(first)).toBe(true);
  });
});

function run(width: number, from: number, to: number, input: string, output: string): Buffer {
  const values = [width, from, to, input, output].map(String);
  const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', script, ...values], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`run ${values.join(' ')} ended with ${status}: ${stderr}`);
  return readFileSync(output);
}

import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createOutput } from './output.js';
import { printSummary, type PretextSummary } from './results.js';

const summary: PretextSummary = {
  runId: 'r1',
  untrainedKnnTop1: 28.1,
  knnTop1: 41,
  bestCheck: { top1: 43.5, epochsTrained: 1 },
  knnTop1PerEpoch: [43.5, 41],
  meanLossPerEpoch: [5, 4],
  linearProbeTop1: null,
  backboneKnnTop1: null,
  neighborAccuracyTrain: 50,
  neighborAccuracyVal: 50,
  artifacts: {},
  tensorboard: '/a/runs/r1/tensorboard',
  indexes: { train: 'r1-train', val: 'r1-val' },
  seconds: 1,
};

/** The words of a summary, by the name of their row. */
function printed(changed: Partial<PretextSummary>): Record<string, string> {
  const lines: string[] = [];
  const stdout = new Writable({ write: (chunk, _, done) => (lines.push(String(chunk)), done()) });
  const output = createOutput({ json: false, verbose: false, stdout: stdout as unknown as NodeJS.WriteStream });
  printSummary(output, { ...summary, ...changed });
  return Object.fromEntries(
    lines.map((line) => line.trim().split(/ {2,}(.*)/)).map(([name, rest = '']) => [name, rest]),
  );
}

describe('the table at the end', () => {
  it('has what training gained, the best check and the folder of the curves', () => {
    expect(printed({})).toMatchObject({
      'kNN top-1 trained': '41.0 %  (+12.9)',
      'kNN top-1 best': '43.5 % after epoch 1',
      TensorBoard: '/a/runs/r1/tensorboard',
    });
  });

  it('has no gain and no best of a run that ended inside its first epoch', () => {
    const rows = printed({ knnTop1: null, bestCheck: null, knnTop1PerEpoch: [], meanLossPerEpoch: [] });
    expect(rows['kNN top-1 trained']).toBe('–');
    expect(rows['kNN top-1 untrained']).toBe('28.1 %');
    expect(Object.keys(rows)).not.toContain('kNN top-1 best');
    expect(printed({ untrainedKnnTop1: null })['kNN top-1 trained']).toBe('41.0 %');
  });
});

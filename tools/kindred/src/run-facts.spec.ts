import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson, readExperiment } from '@kindred/experiment';
import { Run, RunState } from '@kindred/protocol/training';
import { describe, expect, it } from 'vitest';
import { bestCheck, runRows, tensorboardFolder } from './run-facts.js';

const text = readFileSync(join(import.meta.dirname, '../../../configs/pretext/simclr_cifar10.yml'), 'utf8');
const experimentJson = (overrides: Record<string, string> = {}): string =>
  canonicalJson(readExperiment({ text, overrides }));

describe('facts of a run', () => {
  it('takes the first of equal checks as the best', () => {
    expect(bestCheck({ knnTop1: [30, 50, 40, 50] })).toEqual({ top1: 50, epochsTrained: 2 });
    expect(bestCheck({ knnTop1: [] })).toBeNull();
  });

  it("names the folder of the curves by the store's place, its key where that is elsewhere, nothing where none are made", () => {
    expect(tensorboardFolder({ runId: 'r1', experimentJson: experimentJson() }, '/a')).toBe('/a/runs/r1/tensorboard');
    expect(tensorboardFolder({ runId: 'r1', experimentJson: experimentJson() }, null)).toBe('runs/r1/tensorboard');
    const none = experimentJson({ 'tensorboard.scalars': 'false', 'tensorboard.projector_images': '0' });
    expect(tensorboardFolder({ runId: 'r1', experimentJson: none }, '/a')).toBeNull();
    expect(tensorboardFolder({ runId: 'r1', experimentJson: '' }, '/a')).toBeNull();
  });

  it('says of a paused run how many steps are done, and of none that a step failed', () => {
    const failure = { code: 'RESOURCE_EXHAUSTED', message: 'no space left in /a', stepsCompleted: 12n };
    const run = Run.fromPartial({ runId: 'r1', state: RunState.PAUSED, knnTop1: [30, 20], failure });
    const rows = Object.fromEntries(runRows(run, null));
    expect(rows).toMatchObject({
      paused: 'RESOURCE_EXHAUSTED: no space left in /a; 12 steps done',
      'kNN best': '30.0 % after epoch 1',
    });
    expect(Object.keys(rows)).not.toContain('failed step');
  });
});

// Batches that the plan asks for, against the 48 MiB that a message's pixels may take.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readExperiment } from '@kindred/experiment';
import { describe, expect, it } from 'vitest';
import { createPlan } from './plan.js';

const text = readFileSync(join(import.meta.dirname, '../../../configs/pretext/simclr_cifar10.yml'), 'utf8');

function planOf(side: number, batchSize: number) {
  const overrides = {
    batch_size: String(batchSize),
    'augmentation_kwargs.random_resized_crop.size': String(side),
    'transformation_kwargs.crop_size': String(side),
  };
  const experiment = readExperiment({ text, overrides });
  return createPlan({ runId: 'r1', experiment, dataRoot: '', seed: '1', createTime: '' });
}

describe('plan', () => {
  // 256 × 256 × 3 bytes are 192 KiB, of which 256 make 48 MiB; 257 × 257 × 3 are 198,147 bytes, of which 254 are 50,329,338.
  it.each([
    [32, 256],
    [256, 256],
    [257, 254],
    [512, 64],
    [1024, 16],
  ])('evaluates images of side %i in batches of %i', (side, batchSize) => {
    const plan = planOf(side, 2);
    for (const split of ['train', 'validation'] as const) {
      expect(plan.evaluationBatches(split, 0).batchSize).toBe(batchSize);
    }
  });

  it.each([
    [32, 8192],
    [256, 128],
    [1024, 8],
  ])('takes training batches of pairs of side %i up to %i', (side, most) => {
    expect(planOf(side, most).trainingBatches(0, 0).batchSize).toBe(most);
  });

  it.each([
    [256, 129, 128],
    [1024, 9, 8],
  ])('refuses training batches of pairs of side %i of %i', (side, batchSize, most) => {
    const description = `got ${batchSize}; allowed: at most ${most} pairs of views of this crop_size`;
    const expected = { code: 'INVALID_ARGUMENT', violations: [{ field: 'batch_size', description }] };
    expect(() => planOf(side, batchSize)).toThrow(expect.objectContaining(expected) as Error);
  });
});

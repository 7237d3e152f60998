// Checks of backbone features whose classes are directions: lengths must not count.
import { describe, expect, it } from 'vitest';
import { checkBackbone } from './backbone-checks.js';
import type { LabelledFeatures } from './logistic-regression.js';

const options = { classes: 2, between: () => {} };

/** Rows along two axes with noise of 0.2, each row `lengths(i)` long. */
function rows(count: number, lengths: (i: number) => number): LabelledFeatures {
  const labels = Int32Array.from({ length: count }, (_, i) => i % 2);
  const features = Float32Array.from({ length: 2 * count }, (_, at) => {
    const [i, axis] = [Math.floor(at / 2), at % 2];
    return lengths(i) * ((axis === i % 2 ? 1 : 0) + 0.2 * Math.abs(Math.sin(at)));
  });
  return { features, labels };
}

describe('checks of the backbone', () => {
  it('classify by direction: a few long rows do not outvote their neighbours', async () => {
    // Without normalisation the rows of class 0, a thousand times as long, would win every vote.
    const training = rows(600, (i) => (i % 2 === 0 ? 1000 : 1));
    const validation = rows(40, (i) => 1 + i);
    const { knnTop1, probe } = await checkBackbone(training, validation, {
      ...options,
      backboneKnn: true,
      linearProbe: false,
    });
    expect(knnTop1).toBe(100);
    expect(probe).toBeNull();
  });

  it('take rows of zeros', async () => {
    const validation = { features: new Float32Array(4), labels: Int32Array.of(0, 1) };
    const checks = { ...options, backboneKnn: true, linearProbe: false };
    expect(
      (
        await checkBackbone(
          rows(20, () => 1),
          validation,
          checks,
        )
      ).knnTop1,
    ).toBe(50);
  });

  it('probe only where asked to, and can be ended', async () => {
    const [training, validation] = [rows(60, () => 1), rows(20, () => 2)];
    const checks = { ...options, backboneKnn: false, linearProbe: true };
    const { knnTop1, probe } = await checkBackbone(training, validation, checks);
    expect(knnTop1).toBeNull();
    expect(probe).toMatchObject({ converged: true, trainTop1: 100 });
    const between = (): void => {
      throw new Error('cancelled');
    };
    await expect(checkBackbone(training, validation, { ...checks, between })).rejects.toThrow('cancelled');
  });
});

// The probe against scikit-learn's LogisticRegression, recorded (testdata/recorded).
import { describe, expect, it } from 'vitest';
import { probeLinearly } from './linear-probe.js';
import { readProbe } from './spec/recorded-probe.js';

// Percent. On 600 validation rows, one row more or less is 0.17.
const accuracyTolerance = 0.2;

describe('linear probe', () => {
  const { cases, training, validation } = readProbe();

  it.each(cases.filter(({ standardised }) => standardised))(
    'finds what scikit-learn finds behind a StandardScaler, C $C, at the tolerance of a run',
    async ({ C, classes, loss, accuracy, train_accuracy: trainAccuracy }) => {
      const result = await probeLinearly(training, validation, { classes, inverseStrength: C });
      expect(result.converged).toBe(true);
      expect(Math.abs(result.loss / loss - 1)).toBeLessThan(1e-4);
      expect(Math.abs(result.trainTop1 - trainAccuracy)).toBeLessThanOrEqual(accuracyTolerance);
      expect(Math.abs(result.top1 - accuracy)).toBeLessThanOrEqual(accuracyTolerance);
    },
  );

  it('says when it has not converged, and stops when it is told to', async () => {
    const classes = 6;
    expect((await probeLinearly(training, validation, { classes, maxIterations: 3 })).converged).toBe(false);
    let iterations = 0;
    const between = (): void => {
      if (++iterations === 2) throw new Error('enough');
    };
    await expect(probeLinearly(training, validation, { classes, between })).rejects.toThrow('enough');
  });

  it('refuses labels outside the classes', async () => {
    await expect(probeLinearly(training, validation, { classes: 3 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'labels' }],
    });
  });
});

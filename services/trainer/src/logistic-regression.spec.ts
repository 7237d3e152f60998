// Logistic regression against scikit-learn's, recorded (testdata/recorded).
import { top1Accuracy } from '@kindred/memory-bank';
import { describe, expect, it } from 'vitest';
import {
  fitLinearClassifier,
  predictClasses,
  type LabelledFeatures,
  type LinearClassifier,
} from './logistic-regression.js';
import { readProbe } from './spec/recorded-probe.js';

// At the optimum the loss is flat: what is left is how far each side has gone.
const lossTolerance = 1e-6;
// Percent. On 600 validation rows, one row more or less is 0.17.
const accuracyTolerance = 0.2;

describe('logistic regression', () => {
  const { cases, training, validation } = readProbe();

  it.each(cases.filter(({ standardised }) => !standardised))(
    'ends where scikit-learn does, C $C',
    async ({ C, classes, loss, accuracy, train_accuracy: trainAccuracy, coefficients_norm: norm }) => {
      const fitted = await fitLinearClassifier(training, {
        classes,
        inverseStrength: C,
        tolerance: 1e-7,
        maxIterations: 5000,
      });
      expect(fitted.converged).toBe(true);
      expect(Math.abs(fitted.loss / loss - 1)).toBeLessThan(lossTolerance);
      expect(percentRight(fitted, training)).toBeCloseTo(trainAccuracy, 6);
      expect(Math.abs(percentRight(fitted, validation) - accuracy)).toBeLessThanOrEqual(accuracyTolerance);
      const coefficients = fitted.weights.filter((_, i) => i % (fitted.dimension + 1) < fitted.dimension);
      expect(Math.hypot(...coefficients) / norm).toBeCloseTo(1, 4);
    },
  );

  it('refuses rows that do not fit', async () => {
    const torn = { features: training.features.subarray(1), labels: training.labels };
    await expect(fitLinearClassifier(torn, { classes: 6 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'features' }],
    });
  });
});

function percentRight(fitted: LinearClassifier, rows: LabelledFeatures): number {
  return top1Accuracy(predictClasses(fitted, rows.features), rows.labels);
}

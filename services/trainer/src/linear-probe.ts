// The linear probe: how well can classes be told apart by planes in the space of frozen features?
import { top1Accuracy } from '@kindred/memory-bank';
import {
  fitLinearClassifier,
  predictClasses,
  type LabelledFeatures,
  type LinearClassifierOptions,
} from './logistic-regression.js';

/** What the probe has found. */
export interface LinearProbeResult {
  /** Percent of the validation rows that are classified right. */
  readonly top1: number;
  /** Percent of the training rows. */
  readonly trainTop1: number;
  readonly loss: number;
  readonly iterations: number;
  readonly converged: boolean;
}

/**
 * Standardises each feature by its mean and deviation over `training`, fits a classifier there, and counts how often it is right
 * on `validation`. Seconds for 10,000 rows: it runs in the training process, and gives other work its turn between iterations.
 */
export async function probeLinearly(
  training: LabelledFeatures,
  validation: LabelledFeatures,
  options: LinearClassifierOptions,
): Promise<LinearProbeResult> {
  const scale = featureScale(training);
  const standardised = scale(training.features);
  const classifier = await fitLinearClassifier({ features: standardised, labels: training.labels }, options);
  const { loss, iterations, converged } = classifier;
  return {
    top1: top1Accuracy(predictClasses(classifier, scale(validation.features)), validation.labels),
    trainTop1: top1Accuracy(predictClasses(classifier, standardised), training.labels),
    loss,
    iterations,
    converged,
  };
}

/** A function that standardises rows as those of `training` are; features that never change become 0. */
function featureScale({ features, labels }: LabelledFeatures): (rows: Float32Array) => Float32Array {
  const dimension = features.length / labels.length;
  const [means, squares] = [new Float64Array(dimension), new Float64Array(dimension)];
  for (let start = 0; start < features.length; start += dimension) {
    for (let d = 0; d < dimension; d++) means[d] = means[d]! + features[start + d]! / labels.length;
  }
  for (let start = 0; start < features.length; start += dimension) {
    for (let d = 0; d < dimension; d++)
      squares[d] = squares[d]! + (features[start + d]! - means[d]!) ** 2 / labels.length;
  }
  // A constant feature's variance is rounding at most.
  const factors = squares.map((square, d) => (square > 1e-14 * (1 + means[d]! ** 2) ? 1 / Math.sqrt(square) : 0));
  return (rows) => {
    const result = new Float32Array(rows.length);
    for (let start = 0; start < rows.length; start += dimension) {
      for (let d = 0; d < dimension; d++) result[start + d] = (rows[start + d]! - means[d]!) * factors[d]!;
    }
    return result;
  };
}

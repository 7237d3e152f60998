// Multinomial logistic regression: a linear classifier with the smallest cross-entropy, L2-penalised.
import { setImmediate as turn } from 'node:timers/promises';
import { invalidField } from '@kindred/errors';
import { minimise } from './lbfgs.js';

/** Features of some images with their classes. */
export interface LabelledFeatures {
  /** `[n, dimension]`, float32. */
  readonly features: Float32Array;
  /** `[n]`, 0 to classes - 1. */
  readonly labels: Int32Array;
}

/** How a classifier is fitted. */
export interface LinearClassifierOptions {
  readonly classes: number;
  /** scikit-learn's `C`: the inverse of the strength of the L2 penalty, which intercepts don't have. @default 1 */
  readonly inverseStrength?: number;
  /** Largest part of the gradient of the mean loss at the end. @default 1e-4, scikit-learn's `tol` */
  readonly tolerance?: number;
  /** @default 1000 */
  readonly maxIterations?: number;
  /** Called between two iterations; may throw to end the fit. */
  readonly between?: () => void;
}

/** A fitted classifier. */
export interface LinearClassifier {
  readonly classes: number;
  readonly dimension: number;
  /** `[classes, dimension + 1]`, the intercept last. */
  readonly weights: Float64Array;
  /** Mean cross-entropy over the training rows + ‖W‖² / (2·C·n). */
  readonly loss: number;
  readonly iterations: number;
  /** Whether the fit has ended by its tolerance. */
  readonly converged: boolean;
}

/**
 * Fits multinomial logistic regression by L-BFGS from zeros, in float64: the objective of scikit-learn's `LogisticRegression`.
 * @throws KindredError INVALID_ARGUMENT when shapes do not fit or a label is outside 0 to classes - 1.
 */
export async function fitLinearClassifier(
  { features, labels }: LabelledFeatures,
  { classes, inverseStrength = 1, tolerance = 1e-4, maxIterations = 1000, between }: LinearClassifierOptions,
): Promise<LinearClassifier> {
  const dimension = checkedDimension({ features, labels }, classes);
  const weights = new Float64Array(classes * (dimension + 1));
  const objective = crossEntropy({ features, labels }, dimension, classes, 1 / (inverseStrength * labels.length));
  const search = minimise(objective, weights, { gradientTolerance: tolerance, maxIterations });
  for (;;) {
    const { value, done } = search.next();
    const { value: loss, iterations, converged } = value;
    if (done === true) return { classes, dimension, weights, loss, iterations, converged };
    await turn();
    between?.();
  }
}

/** The most probable class of each row of `features` `[n, dimension]`; of equal ones the smallest. */
export function predictClasses({ weights, classes, dimension }: LinearClassifier, features: Float32Array): Int32Array {
  const rows = features.length / dimension;
  const predictions = new Int32Array(rows);
  const logits = new Float64Array(4 * classes);
  for (let row = 0; row < rows; row++) {
    if (row % 4 === 0) fourLogits(weights, features, row, rows, dimension, logits);
    let best = row % 4;
    for (let i = best; i < logits.length; i += 4) if (logits[i]! > logits[best]!) best = i;
    predictions[row] = Math.floor(best / 4);
  }
  return predictions;
}

/** The mean loss with its L2 penalty as a function of the weights. */
function crossEntropy({ features, labels }: LabelledFeatures, dimension: number, classes: number, penalty: number) {
  const rows = labels.length;
  const stride = dimension + 1;
  const values = new Float64Array(4 * classes);
  return (weights: Float64Array, gradient: Float64Array): number => {
    gradient.fill(0);
    let loss = 0;
    for (let row = 0; row < rows; row += 4) {
      fourLogits(weights, features, row, rows, dimension, values);
      for (let k = 0; k < 4; k++) {
        // The last four may go past the end: what stands there counts nothing.
        loss += row + k < rows ? logitsToErrors(values, k, labels[row + k]!) : clearErrors(values, k);
      }
      addFourRows(gradient, features, row, rows, dimension, values);
    }
    let squares = 0;
    for (let i = 0; i < weights.length; i++) {
      const weight = i % stride === dimension ? 0 : weights[i]!;
      squares += weight * weight;
      gradient[i] = gradient[i]! / rows + penalty * weight;
    }
    return loss / rows + (penalty * squares) / 2;
  };
}

/** Turns the logits of row `k` of four into softmax - one-hot(label), and returns -log softmax[label]. */
function logitsToErrors(values: Float64Array, k: number, label: number): number {
  const logit = values[4 * label + k]!;
  let highest = -Infinity;
  for (let i = k; i < values.length; i += 4) highest = Math.max(highest, values[i]!);
  let sum = 0;
  for (let i = k; i < values.length; i += 4) sum += values[i] = Math.exp(values[i]! - highest);
  for (let i = k; i < values.length; i += 4) values[i] = values[i]! / sum;
  values[4 * label + k] = values[4 * label + k]! - 1;
  return highest + Math.log(sum) - logit;
}

function clearErrors(values: Float64Array, k: number): number {
  for (let i = k; i < values.length; i += 4) values[i] = 0;
  return 0;
}

/** W·x + b of the four rows from `row` on, into `logits` `[classes, 4]`. Four at a time read the weights once. */
function fourLogits(
  weights: Float64Array,
  features: Float32Array,
  row: number,
  rows: number,
  dimension: number,
  logits: Float64Array,
): void {
  const [p, q, r, s] = fourStarts(row, rows, dimension);
  for (let at = 0, w = 0; at < logits.length; at += 4, w += dimension + 1) {
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let i = 0; i < dimension; i++) {
      const weight = weights[w + i]!;
      a += weight * features[p + i]!;
      b += weight * features[q + i]!;
      c += weight * features[r + i]!;
      d += weight * features[s + i]!;
    }
    const intercept = weights[w + dimension]!;
    logits[at] = a + intercept;
    logits[at + 1] = b + intercept;
    logits[at + 2] = c + intercept;
    logits[at + 3] = d + intercept;
  }
}

/** Adds the outer products of `errors` `[classes, 4]` and the four rows from `row` on to `gradient`. */
function addFourRows(
  gradient: Float64Array,
  features: Float32Array,
  row: number,
  rows: number,
  dimension: number,
  errors: Float64Array,
): void {
  const [p, q, r, s] = fourStarts(row, rows, dimension);
  for (let at = 0, g = 0; at < errors.length; at += 4, g += dimension + 1) {
    const [a, b, c, d] = [errors[at]!, errors[at + 1]!, errors[at + 2]!, errors[at + 3]!];
    for (let i = 0; i < dimension; i++) {
      gradient[g + i] =
        gradient[g + i]! +
        (a * features[p + i]! + b * features[q + i]! + (c * features[r + i]! + d * features[s + i]!));
    }
    gradient[g + dimension] = gradient[g + dimension]! + (a + b + (c + d));
  }
}

/** Where the four rows from `row` on begin; the last row stands in for those past the end. */
function fourStarts(row: number, rows: number, dimension: number): [number, number, number, number] {
  const start = (k: number): number => Math.min(row + k, rows - 1) * dimension;
  return [start(0), start(1), start(2), start(3)];
}

function checkedDimension({ features, labels }: LabelledFeatures, classes: number): number {
  const dimension = features.length / labels.length;
  if (!Number.isInteger(dimension) || dimension < 1) {
    throw invalidField(
      'features',
      `got ${features.length} numbers for ${labels.length} labels; allowed: as many for each, 1 row at least`,
    );
  }
  const wrong = labels.findIndex((label) => label < 0 || label >= classes);
  if (wrong >= 0) throw invalidField('labels', `got ${labels[wrong]} in row ${wrong}; allowed: 0 to ${classes - 1}`);
  return dimension;
}

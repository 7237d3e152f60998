// scikit-learn's logistic regressions (testdata/recorded/linear-probe.json) and the rows that they were fitted to.
import { readRecordedJson, readRecordedNpy } from '@kindred/testing';
import type { LabelledFeatures } from '../logistic-regression.js';

/** One fit; accuracies in percent. */
export interface ProbeCase {
  readonly standardised: boolean;
  readonly C: number;
  readonly classes: number;
  readonly loss: number;
  readonly train_accuracy: number;
  readonly accuracy: number;
  readonly coefficients_norm: number;
}

/** All fits, with the rows for training and for validation. */
export function readProbe(): { cases: ProbeCase[]; training: LabelledFeatures; validation: LabelledFeatures } {
  const { cases } = readRecordedJson<{ cases: ProbeCase[] }>('linear-probe');
  return { cases, training: readRows('x', 'y'), validation: readRows('xv', 'yv') };
}

function readRows(features: string, labels: string): LabelledFeatures {
  return {
    features: readRecordedNpy<Float32Array>(`linear-probe-${features}`).data,
    labels: Int32Array.from(readRecordedNpy<BigInt64Array>(`linear-probe-${labels}`).data, Number),
  };
}

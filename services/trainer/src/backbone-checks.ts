// Checks of the backbone's features beside the reference's: weighted kNN as lightly reports it, and the linear probe.
import { top1Accuracy, weightedKnn, type WeightedKnnOptions } from '@kindred/memory-bank';
import type { LabelledFeatures } from './logistic-regression.js';
import { probeLinearly, type LinearProbeResult } from './linear-probe.js';

/** Neighbours and temperature of lightly's benchmarks (Wu et al. 2018, §3.4 and §4). */
const backboneNeighbours = 200;
const backboneTemperature = 0.1;

/** What to check. */
export interface BackboneChecks {
  readonly backboneKnn: boolean;
  readonly linearProbe: boolean;
  readonly classes: number;
  /** Finds neighbours. @default memory-bank's own */
  readonly search?: WeightedKnnOptions['search'];
  /** Called now and then; may throw to end the checks. */
  readonly between: () => void;
}

/** What was found; null: not asked for. */
export interface BackboneResult {
  /** Percent of validation images classified right. */
  readonly knnTop1: number | null;
  readonly probe: (LinearProbeResult & { readonly seconds: number }) | null;
}

/** Checks features of training and validation images. */
export async function checkBackbone(
  training: LabelledFeatures,
  validation: LabelledFeatures,
  { backboneKnn, linearProbe, classes, search, between }: BackboneChecks,
): Promise<BackboneResult> {
  const knnTop1 = backboneKnn ? backboneKnnTop1(training, validation, classes, search) : null;
  between();
  if (!linearProbe) return { knnTop1, probe: null };
  const started = performance.now();
  const probe = await probeLinearly(training, validation, { classes, between });
  return { knnTop1, probe: { ...probe, seconds: (performance.now() - started) / 1000 } };
}

function backboneKnnTop1(
  training: LabelledFeatures,
  validation: LabelledFeatures,
  classes: number,
  search: BackboneChecks['search'],
): number {
  const dimension = training.features.length / training.labels.length;
  const { predictions } = weightedKnn({
    bank: unitRows(training.features, dimension),
    labels: training.labels,
    queries: unitRows(validation.features, dimension),
    k: backboneNeighbours,
    temperature: backboneTemperature,
    classes,
    search,
  });
  return top1Accuracy(predictions, validation.labels);
}

/** Rows `[n, dimension]` divided by their Euclidean norm; rows of zeros stay. */
function unitRows(rows: Float32Array, dimension: number): Float32Array {
  const result = new Float32Array(rows.length);
  for (let start = 0; start < rows.length; start += dimension) {
    let squares = 0;
    for (let i = start; i < start + dimension; i++) squares += rows[i]! * rows[i]!;
    const factor = squares === 0 ? 0 : 1 / Math.sqrt(squares);
    for (let i = start; i < start + dimension; i++) result[i] = rows[i]! * factor;
  }
  return result;
}

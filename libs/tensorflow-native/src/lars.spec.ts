// LARS in the compiled step, judged by its definition and by the compiled step of SGD.
import { createArchitecture, initialParameters, modelSpecification, type OptimizerOptions } from '@kindred/simclr';
import { describe, expect, it } from 'vitest';
import { createTrainer, type TrainerState } from './trainer.js';

const architecture = createArchitecture({ width: 2, featureDim: 4 });
const parameters = initialParameters(architecture, 5);
const [batchSize, side] = [4, 8];
const views = Uint8Array.from({ length: 2 * batchSize * side * side * 3 }, (_, i) => (i * 2654435761) >>> 24);

/** The state after one step at rate 1. */
function afterStep(optimizer: OptimizerOptions): TrainerState {
  const normalisation = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };
  const imageSize = { height: side, width: side };
  const common = { architecture, parameters, temperature: 0.1, normalisation, batchSize, imageSize };
  const trainer = createTrainer({ ...common, optimizer });
  trainer.step(views, 1);
  const state = trainer.state();
  trainer.dispose();
  return state;
}

describe('LARS in the compiled step', () => {
  it('moves each weight by the trust coefficient times its norm along SGD’s gradient, and leaves the rest to SGD', () => {
    const trustCoefficient = 0.01;
    const sgd = afterStep({ momentum: 0.9 });
    const lars = afterStep({ kind: 'lars', trustCoefficient });
    for (const { name, kind, trainable } of modelSpecification(architecture)) {
      if (!trainable) continue;
      const [plain, scaled] = [sgd.momentum[name] ?? [], lars.momentum[name] ?? []];
      const adapted = kind === 'convolution-weight' || kind === 'linear-weight';
      const factor = adapted ? (trustCoefficient * norm(parameters[name] ?? [])) / norm(plain) : 1;
      const expected = Array.from(plain, (value) => factor * value);
      // Two compilations sum in float32 in their own order.
      expect(norm(expected.map((value, i) => value - (scaled[i] ?? NaN))), name).toBeLessThan(
        1e-4 * norm(expected) + 1e-7,
      );
    }
  });
});

function norm(values: ArrayLike<number>): number {
  return Math.sqrt(Array.from(values).reduce((sum, value) => sum + value * value, 0));
}

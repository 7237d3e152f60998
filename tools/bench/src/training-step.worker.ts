// Our side of the suites `steps`, `memory` and `gpu`: steps of the trainer's own compiled graph, on views that lie ready in memory.
import { loadTensorFlow } from '@kindred/tensorflow-native';
import { serveRounds } from './own-process.js';
import { createStepTrainer, imageSide, type StepOptions } from './step-trainer.js';

const warmUpSteps = 3;
const batchCount = 4;

serveRounds<StepOptions>((options) => {
  const { views, tensorFlow } = options;
  const { version, device } = loadTensorFlow(tensorFlow);
  const trainer = createStepTrainer(options);
  // Several batches in turn: on a single one the loss would fall to nothing within a few rounds.
  const batches = Array.from({ length: batchCount }, () => noise(views * imageSide * imageSide * 3));
  const batch = (step: number): Uint8Array => batches[step % batchCount] as Uint8Array;
  const round = (steps: number): number => {
    for (let step = 0; step < steps; step++) {
      // The last step of a round has nothing ahead: what it would stage would belong to the next round.
      trainer.step(batch(step), 0.1, step + 1 < steps ? batch(step + 1) : null);
    }
    return steps * views;
  };
  round(warmUpSteps);
  return Promise.resolve({ versions: { tensorflow: version }, round, usesGpu: device === 'gpu' });
});

function noise(length: number): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(Math.random() * 256));
}

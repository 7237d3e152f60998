// Our side of the suites `steps` and `memory`: steps of the trainer's own compiled graph, on views that lie ready in memory.
import { loadTensorFlow } from '@kindred/tensorflow-native';
import { serveRounds } from './own-process.js';
import { createStepTrainer, imageSide, type StepOptions } from './step-trainer.js';

const warmUpSteps = 3;
const batchCount = 4;

serveRounds<StepOptions>((options) => {
  const { views, tensorFlow } = options;
  const { version } = loadTensorFlow(tensorFlow);
  const trainer = createStepTrainer(options);
  // Several batches in turn: on a single one the loss would fall to nothing within a few rounds.
  const batches = Array.from({ length: batchCount }, () => noise(views * imageSide * imageSide * 3));
  const round = (steps: number): number => {
    for (let step = 0; step < steps; step++) trainer.step(batches[step % batchCount] as Uint8Array, 0.1);
    return steps * views;
  };
  round(warmUpSteps);
  return Promise.resolve({ versions: { tensorflow: version }, round });
});

function noise(length: number): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(Math.random() * 256));
}

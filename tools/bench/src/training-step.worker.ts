// Our side of the suite `training`: steps of the trainer's own compiled graph, on views that lie ready in memory.
import { createArchitecture, initialParameters } from '@kindred/simclr';
import { createTrainer, loadTensorFlow } from '@kindred/tensorflow-native';
import { serveRounds } from './own-process.js';

/** What the child is told at its start. */
export interface TrainingStepOptions {
  readonly width: number;
  /** Images of a step, both views counted. */
  readonly views: number;
  readonly threads: number;
}

const side = 32;
const warmUpSteps = 3;
const batchCount = 4;

serveRounds<TrainingStepOptions>(({ width, views, threads }) => {
  const tensorFlow = { intraOpThreads: threads };
  const { version } = loadTensorFlow(tensorFlow);
  const architecture = createArchitecture({ width });
  const trainer = createTrainer({
    architecture,
    parameters: initialParameters(architecture, 0),
    optimizer: { momentum: 0.9, weightDecay: 1e-4 },
    temperature: 0.1,
    normalisation: { mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] },
    batchSize: views / 2,
    imageSize: { height: side, width: side },
    tensorFlow,
  });
  // Several batches in turn: on a single one the loss would fall to nothing within a few rounds.
  const batches = Array.from({ length: batchCount }, () => noise(views * side * side * 3));
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

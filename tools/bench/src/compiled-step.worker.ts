// Our side of the suite `compile`: the first round loads TensorFlow, the second makes the training step ready.
import { loadTensorFlow } from '@kindred/tensorflow-native';
import { serveRounds } from './own-process.js';
import { createStepTrainer, type StepOptions } from './step-trainer.js';

serveRounds<StepOptions>((options) => {
  const versions: Record<string, string> = {};
  const stages = [
    () => (versions['tensorflow'] = loadTensorFlow(options.tensorFlow).version),
    () => createStepTrainer(options),
  ];
  const round = (): number => {
    stages.shift()?.();
    return 1;
  };
  return Promise.resolve({ versions, round });
});

// Suite `step-settings`: what do other settings of TensorFlow make of the same training step?
import type { TensorFlowOptions } from '@kindred/tensorflow-native';
import { contest } from '../contest.js';
import { trainingStepEntry } from '../entries.js';
import { startOwn } from '../own-process.js';
import { compare } from '../report.js';
import type { Suite } from './suite.js';

const unit = 'images/s';
const sizes = [
  { id: 'w16', width: 16, views: 256, steps: 4 },
  { id: 'w64', width: 64, views: 64, steps: 3 },
];

/** One other way to start TensorFlow, by `threads`: those that the bench was given. */
interface Setting {
  readonly description: string;
  readonly tensorFlow: (threads: number) => TensorFlowOptions;
  readonly env?: NodeJS.ProcessEnv;
}

const inside = (threads: number): TensorFlowOptions => ({ intraOpThreads: threads });

const settings: Readonly<Record<string, Setting>> = {
  beside: {
    description: 'one thread inside an operation, all others for operations side by side',
    tensorFlow: (threads) => ({ intraOpThreads: 1, interOpThreads: threads }),
  },
  both: {
    description: 'all threads inside an operation and as many operations side by side',
    tensorFlow: (threads) => ({ intraOpThreads: threads, interOpThreads: threads }),
  },
  single: { description: 'one thread', tensorFlow: () => inside(1) },
  'no-onednn': { description: 'without oneDNN', tensorFlow: inside, env: { TF_ENABLE_ONEDNN_OPTS: '0' } },
  xla: {
    description: 'clusters of operations compiled by XLA',
    tensorFlow: (threads) => ({ ...inside(threads), xla: true }),
  },
};

/** The suite. Ours is the setting that the trainer uses; `peer` is the same step with the other one. No row has a bar. */
export const stepSettingsSuite: Suite = {
  name: 'step-settings',
  description: "the training step with other settings of TensorFlow than the trainer's",
  async run({ rounds, threads, say }) {
    const rows = [];
    const versions: Record<string, string> = {};
    for (const { id: size, width, views, steps } of sizes) {
      const start = (tensorFlow: TensorFlowOptions, env?: NodeJS.ProcessEnv) => () =>
        startOwn(trainingStepEntry, { width, views, tensorFlow }, env === undefined ? {} : { env });
      for (const [name, { description, tensorFlow, env }] of Object.entries(settings)) {
        const id = `step-settings-${size}-${name}`;
        const sides = { ours: start(inside(threads)), other: start(tensorFlow(threads), env) };
        const found = await contest({ label: id, sides, rounds, steps, unit, say });
        Object.assign(versions, found.versions);
        rows.push(compare({ id, suite: 'step-settings', unit, against: description }, found.rates, 'ours', 'other'));
      }
    }
    return { rows, versions };
  },
};

// Suite `steps`: how fast is one training step, against eager PyTorch on the same cores?
import { join } from 'node:path';
import { contest } from '../contest.js';
import { trainingStepEntry } from '../entries.js';
import { startOwn } from '../own-process.js';
import { startPeer } from '../peer-process.js';
import { compare } from '../report.js';
import type { Suite } from './suite.js';

const unit = 'images/s';
const sizes = [
  { id: 'step-w16', width: 16, views: 256, steps: 4 },
  { id: 'step-w64', width: 64, views: 64, steps: 3 },
];

/** The suite. The plain id is the comparison with PyTorch's faster layout, `-nchw` the one that the reference runs. */
export const stepsSuite: Suite = {
  name: 'steps',
  description: 'one training step (forward, loss, backward, SGD) against eager PyTorch',
  async run({ rounds, python, peers, threads, say }) {
    const rows = [];
    const versions: Record<string, string> = {};
    for (const { id, width, views, steps } of sizes) {
      const peer = (layout: string) => () =>
        startPeer({
          python,
          script: join(peers, 'step.py'),
          args: ['--width', `${width}`, '--views', `${views}`, '--layout', layout, '--threads', `${threads}`],
        });
      const sides = {
        ours: () => startOwn(trainingStepEntry, { width, views, tensorFlow: { intraOpThreads: threads } }),
        channelsLast: peer('channels_last'),
        nchw: peer('nchw'),
      };
      const found = await contest({ label: id, sides, rounds, steps, unit, say });
      Object.assign(versions, found.versions);
      const row = { suite: 'steps', unit };
      rows.push(
        compare({ ...row, id, against: 'eager PyTorch, channels last' }, found.rates, 'ours', 'channelsLast'),
        compare({ ...row, id: `${id}-nchw`, against: 'eager PyTorch, NCHW' }, found.rates, 'ours', 'nchw'),
      );
    }
    return { rows, versions };
  },
};

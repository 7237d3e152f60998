// Suite `end-to-end`: how fast is an epoch with augmentation through the services, against a DataLoader with two workers?
import { join } from 'node:path';
import { writeBenchmarkData } from '../benchmark-data.js';
import { contest } from '../contest.js';
import { startPeer } from '../peer-process.js';
import { compare } from '../report.js';
import { startTrainingServices } from '../training-services.js';
import type { Suite } from './suite.js';

const unit = 'pairs/s';
const width = 16;
const batch = 128;

/** The suite. Few validation images, so that the kNN check between the epochs is short; its time is not counted. */
export const endToEndSuite: Suite = {
  name: 'end-to-end',
  description: "an epoch's training through the services against a DataLoader with 2 workers",
  async run({ rounds, python, peers, folder, dataSource, threads, images, say }) {
    const data = join(folder, 'cifar-10');
    await writeBenchmarkData({ folder: data, source: dataSource, train: images, validation: 256 });
    const peer = (layout: string) => () =>
      startPeer({
        python,
        script: join(peers, 'epoch.py'),
        args: [
          '--data',
          data,
          '--width',
          `${width}`,
          '--batch',
          `${batch}`,
          '--layout',
          layout,
          '--threads',
          `${threads}`,
        ],
      });
    const sides = {
      ours: () =>
        startTrainingServices({
          bundles: join(peers, '..', '..', '..', 'dist', 'services'),
          folder: join(folder, 'services'),
          data,
          width,
          batch,
          threads,
        }),
      nchw: peer('nchw'),
      channelsLast: peer('channels_last'),
    };
    // Steps: 0 means the whole epoch.
    const { rates, versions } = await contest({ label: 'epoch-e2e-w16', sides, rounds, steps: 0, unit, say });
    const row = { suite: 'end-to-end', unit };
    const rows = [
      compare({ ...row, id: 'epoch-e2e-w16', against: 'PyTorch as the reference runs it' }, rates, 'ours', 'nchw'),
      compare(
        { ...row, id: 'epoch-e2e-w16-channels-last', against: 'PyTorch, channels last' },
        rates,
        'ours',
        'channelsLast',
      ),
    ];
    return { rows, versions };
  },
};

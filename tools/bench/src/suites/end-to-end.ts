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

/**
 * The suite. All sides are measured on an epoch after the first. Ours keeps its workers; the reference's DataLoader starts two
 * processes at each epoch, so its row has that in it, and `-persistent` is the same without it. Few validation images, so that
 * the kNN check between the epochs is short; its time is not counted.
 */
export const endToEndSuite: Suite = {
  name: 'end-to-end',
  description: "an epoch's training through the services against a DataLoader with 2 workers",
  async run({ rounds, python, peers, folder, dataSource, threads, images, say }) {
    const data = join(folder, 'cifar-10');
    await writeBenchmarkData({ folder: data, source: dataSource, train: images, validation: 256 });
    const script = join(peers, 'epoch.py');
    const args = ['--data', data, '--width', `${width}`, '--batch', `${batch}`, '--threads', `${threads}`];
    const peer =
      (layout: string, ...more: string[]) =>
      () =>
        startPeer({ python, script, args: [...args, '--layout', layout, ...more] });
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
      persistent: peer('nchw', '--persistent'),
      channelsLast: peer('channels_last'),
    };
    const { rates, versions } = await contest({ label: 'epoch-e2e-w16', sides, rounds, steps: 1, unit, say });
    const against = (id: string, peerIs: string, side: keyof typeof sides) =>
      compare({ suite: 'end-to-end', unit, id, against: peerIs }, rates, 'ours', side);
    const rows = [
      against('epoch-e2e-w16', 'PyTorch as the reference runs it: new workers each epoch', 'nchw'),
      against('epoch-e2e-w16-persistent', 'PyTorch, workers kept from epoch to epoch', 'persistent'),
      against('epoch-e2e-w16-channels-last', 'PyTorch, channels last, new workers each epoch', 'channelsLast'),
    ];
    return { rows, versions };
  },
};

// Suite `augmentation`: how many SimCLR views a second does one thread make, against torchvision on PIL images?
import { join } from 'node:path';
import { writeBenchmarkData } from '../benchmark-data.js';
import { contest } from '../contest.js';
import { simclrViewsEntry } from '../entries.js';
import { startOwn } from '../own-process.js';
import { startPeer } from '../peer-process.js';
import { compare } from '../report.js';
import type { Suite } from './suite.js';

const unit = 'views/s';
const viewsPerRound = 16_384;
const core = 0;

/**
 * The suite. Both sides go from 8-bit pixels to 8-bit pixels on one core; `augment-1thread-tensor` is the peer with the
 * conversion to a normalised float tensor that the reference's workers do besides, and that our network does itself.
 */
export const augmentationSuite: Suite = {
  name: 'augmentation',
  description: 'SimCLR views in one thread against torchvision on PIL images',
  async run({ rounds, python, peers, folder, dataSource, say }) {
    await writeBenchmarkData({ folder, source: dataSource, train: 1024, validation: 10 });
    const script = join(peers, 'augment.py');
    const sides = {
      ours: () => startOwn(simclrViewsEntry, { data: folder }, { core }),
      pixels: () => startPeer({ python, script, args: ['--data', folder], core }),
      tensors: () => startPeer({ python, script, args: ['--data', folder, '--tensors'], core }),
    };
    const { rates, versions } = await contest({
      label: 'augment-1thread',
      sides,
      rounds,
      steps: viewsPerRound,
      unit,
      say,
    });
    const row = { suite: 'augmentation', unit };
    const rows = [
      compare(
        { ...row, id: 'augment-1thread', against: 'torchvision, PIL image to PIL image' },
        rates,
        'ours',
        'pixels',
      ),
      compare(
        { ...row, id: 'augment-1thread-tensor', against: 'torchvision, PIL image to tensor' },
        rates,
        'ours',
        'tensors',
      ),
    ];
    return { rows, versions };
  },
};

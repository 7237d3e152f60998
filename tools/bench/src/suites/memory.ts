// Suite `memory`: how much memory does training take at its peak, against eager PyTorch?
import { join } from 'node:path';
import { KindredError } from '@kindred/errors';
import { contestOfFresh, type FreshSide } from '../contest.js';
import type { Contestant } from '../contestant.js';
import { trainingStepEntry } from '../entries.js';
import { startOwn } from '../own-process.js';
import { startPeer } from '../peer-process.js';
import { compare } from '../report.js';
import { unwatched } from '../rounds.js';
import type { Suite } from './suite.js';

const unit = 'MiB';
const width = 64;
const views = 128;
/** After the steps that warm a side up. */
const steps = 6;

/** The suite. Each round is a process of its own, which takes some steps and then tells its largest resident memory. */
export const memorySuite: Suite = {
  name: 'memory',
  description: 'peak resident memory of training at width 64 against eager PyTorch',
  async run({ rounds, python, peers, threads, say }) {
    const script = join(peers, 'step.py');
    const args = ['--width', `${width}`, '--views', `${views}`, '--threads', `${threads}`];
    const peer = (layout: string): FreshSide => ({
      start: () => startPeer({ python, script, args: [...args, '--layout', layout] }),
      figure: peakAfterSteps,
    });
    const sides = {
      ours: {
        start: () => startOwn(trainingStepEntry, { width, views, tensorFlow: { intraOpThreads: threads } }),
        figure: peakAfterSteps,
      },
      nchw: peer('nchw'),
      channelsLast: peer('channels_last'),
    };
    const { rates, versions } = await contestOfFresh({
      ...{ label: 'memory-w64', sides, rounds, unit, say },
      watch: unwatched,
    });
    const row = { suite: 'memory', unit };
    const rows = [
      compare({ ...row, id: 'memory-w64', against: 'PyTorch as the reference runs it' }, rates, 'ours', 'nchw'),
      compare(
        { ...row, id: 'memory-w64-channels-last', against: 'PyTorch, channels last' },
        rates,
        'ours',
        'channelsLast',
      ),
    ];
    return { rows, versions };
  },
};

async function peakAfterSteps(side: Contestant): Promise<number> {
  const { peakMiB } = await side.round(steps);
  if (peakMiB !== null) return peakMiB;
  throw new KindredError(
    'UNIMPLEMENTED',
    'peak memory is read from /proc/self/status, which this system does not have',
  );
}

// Suite `compile`: how long does a fresh process need until the training step is a compiled graph?
import { contestOfFresh } from '../contest.js';
import { compiledStepEntry } from '../entries.js';
import { startOwn } from '../own-process.js';
import { compare } from '../report.js';
import { median } from '../rounds.js';
import type { Suite } from './suite.js';

const unit = 's';
const width = 64;
const views = 128;

/** The suite. No peer compiles anything; loading TensorFlow comes before, and is told apart from it. */
export const compileSuite: Suite = {
  name: 'compile',
  description: 'seconds that tracing, writing and loading the training step takes at width 64',
  async run({ rounds, threads, say }) {
    const loads: number[] = [];
    const ours = {
      start: () => startOwn(compiledStepEntry, { width, views, tensorFlow: { intraOpThreads: threads } }),
      figure: async (side: Awaited<ReturnType<typeof startOwn>>) => {
        loads.push((await side.round(1)).seconds);
        return (await side.round(1)).seconds;
      },
    };
    const { rates, versions } = await contestOfFresh({ label: 'compile-seconds', sides: { ours }, rounds, unit, say });
    const against = `no peer; loading TensorFlow before it took ${median(loads).toFixed(1)} s`;
    const row = { id: 'compile-seconds', suite: 'compile', unit, against };
    return { rows: [compare(row, rates, 'ours', null)], versions };
  },
};

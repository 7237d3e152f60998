// Suite `neighbors-restart`: how long a service with a million vectors takes until it is ready again.
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unitVectors } from '../benchmark-data.js';
import { fill, indexed, remake, startNeighborService } from '../neighbor-service.js';
import { compare, type Row } from '../report.js';
import type { Suite, SuiteContext } from './suite.js';

const suite = 'neighbors-restart';
const dimension = 128;
const restartRows = 1_000_000;
/** Drawn vectors; they are stored again and again under other ids. */
const drawn = 50_000;

/** The suite. */
export const neighborsRestartSuite: Suite = {
  name: suite,
  description: `restarts of neighbor-index with ${restartRows} × ${dimension}, flat and sq8`,
  async run(context) {
    await mkdir(context.folder, { recursive: true });
    return { rows: await restartRowsOf(context), versions: {} };
  },
};

async function restartRowsOf(context: SuiteContext): Promise<Row[]> {
  const { folder, rounds, say } = context;
  const vectors = unitVectors(drawn, dimension);
  let service = await startNeighborService(context);
  const rowOf = (id: string, figures: readonly number[]): Row => {
    say(`${id}: ${figures.map((figure) => figure.toFixed(2)).join(', ')} s`);
    const rates = { ours: figures.map((figure) => ({ figure, othersCores: null })) };
    return compare({ id, suite, unit: 's', against: 'none' }, rates, 'ours', null);
  };
  const restarts = async (id: string): Promise<Row> => {
    const seconds: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const again = await service.restart();
      service = again.service;
      seconds.push(again.seconds);
      const { size } = await service.client.getStats({ collection: 'large' });
      if (size !== BigInt(restartRows)) throw new Error(`${size} points after the restart`);
    }
    return rowOf(id, seconds);
  };
  try {
    await remake(service.client, 'large', dimension, { $case: 'flat', value: {} });
    for (let first = 0; first < restartRows; first += drawn)
      await fill(service.client, { collection: 'large', vectors, dimension, firstId: first });
    const rows = [await restarts('restart')];
    await remake(service.client, 'large', dimension, { $case: 'sq8', value: { refine: 0 } });
    for (let first = 0; first < restartRows; first += drawn)
      await fill(service.client, { collection: 'large', vectors, dimension, firstId: first });
    await indexed(service.client, 'large', restartRows);
    rows.push(await restarts('restart-indexed'));
    const log = await readFile(join(folder, 'neighbor-index.log'), 'utf8');
    say(`lines of progress in the service's log: ${log.split('collection is being read').length - 1}`);
    return rows;
  } finally {
    await service.stop();
  }
}

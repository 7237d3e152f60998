// Suite `neighbors-flat`: exact search against faiss's wheel, both in process.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openBlasCore } from '../blas-core.js';
import { unitVectors } from '../benchmark-data.js';
import { contest } from '../contest.js';
import { flatSearchEntry } from '../entries.js';
import { startOwn } from '../own-process.js';
import { startPeer } from '../peer-process.js';
import { compare } from '../report.js';
import type { Suite } from './suite.js';

const dimension = 128;
const rows = 50_000;
const k = 10;
const batch = 100;
/** Batches of a round. */
const steps = 60;

/** The suite. Both sides have vectors and queries in memory. */
export const neighborsFlatSuite: Suite = {
  name: 'neighbors-flat',
  description: `exact search of ${rows} × ${dimension} vectors in batches of ${batch} against faiss's IndexFlatIP`,
  async run({ rounds, python, peers, folder, threads, say }) {
    await mkdir(folder, { recursive: true });
    const all = unitVectors(rows + 20 * batch, dimension);
    const [vectors, queries] = [join(folder, 'vectors.f32'), join(folder, 'queries.f32')];
    await writeFile(vectors, all.subarray(0, rows * dimension));
    await writeFile(queries, all.subarray(rows * dimension));
    const script = join(peers, 'flat_search.py');
    const sizes = ['--dimension', `${dimension}`, '--k', `${k}`, '--batch', `${batch}`, '--threads', `${threads}`];
    const args = ['--vectors', vectors, '--queries', queries, ...sizes];
    const sides = {
      ours: () => startOwn(flatSearchEntry, { vectors, queries, dimension, k, batch }),
      peer: () => startPeer({ python, script, args }),
      namedCore: () => startPeer({ python, script, args, env: { OPENBLAS_CORETYPE: openBlasCore() } }),
    };
    const unit = 'queries/s';
    const { rates, versions } = await contest({ label: 'flat-batch', sides, rounds, steps, unit, say });
    const row = { suite: 'neighbors-flat', unit };
    const wheel = 'faiss-cpu, IndexFlatIP, in process';
    return {
      rows: [
        compare({ ...row, id: 'flat-batch', against: wheel }, rates, 'ours', 'peer'),
        compare(
          { ...row, id: 'flat-batch-named-core', against: `${wheel}, processor named` },
          rates,
          'ours',
          'namedCore',
        ),
      ],
      versions,
    };
  },
};

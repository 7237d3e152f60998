// Suite `mining`: how fast are the nearest 20 of 50,000 vectors found for each of them, against faiss's Python wheel?
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openBlasCore } from '../blas-core.js';
import { unitVectors } from '../benchmark-data.js';
import { contest } from '../contest.js';
import { minedVectorsEntry } from '../entries.js';
import { startOwn } from '../own-process.js';
import { startPeer } from '../peer-process.js';
import { compare } from '../report.js';
import type { Suite } from './suite.js';

const unit = 'queries/s';
const vectorCount = 50_000;
const dimension = 128;
/** The reference's 20 neighbours, and the vector itself. */
const k = 21;

/**
 * The suite. All sides begin with the vectors in memory and end with ids and scores in memory. `mine-50k-named-core` is the peer
 * with the processor's kind named to its OpenBLAS, which takes the wheel's slowest kernels on processors that it does not know.
 */
export const miningSuite: Suite = {
  name: 'mining',
  description: `exact neighbours of ${vectorCount} × ${dimension} vectors among themselves against faiss's IndexFlatIP`,
  async run({ rounds, python, peers, folder, threads, say }) {
    await mkdir(folder, { recursive: true });
    const vectors = join(folder, 'vectors.f32');
    await writeFile(vectors, unitVectors(vectorCount, dimension));
    const script = join(peers, 'mine.py');
    const args = ['--vectors', vectors, '--dimension', `${dimension}`, '--k', `${k}`, '--threads', `${threads}`];
    const sides = {
      ours: () => startOwn(minedVectorsEntry, { vectors, dimension, k }, { env: { OMP_NUM_THREADS: `${threads}` } }),
      peer: () => startPeer({ python, script, args }),
      namedCore: () => startPeer({ python, script, args, env: { OPENBLAS_CORETYPE: openBlasCore() } }),
    };
    const { rates, versions } = await contest({ label: 'mine-50k', sides, rounds, steps: 1, unit, say });
    const row = { suite: 'mining', unit };
    const wheel = 'faiss-cpu, IndexFlatIP, add and search';
    const rows = [
      compare({ ...row, id: 'mine-50k', against: wheel }, rates, 'ours', 'peer'),
      compare({ ...row, id: 'mine-50k-named-core', against: `${wheel}, processor named` }, rates, 'ours', 'namedCore'),
    ];
    return { rows, versions };
  },
};

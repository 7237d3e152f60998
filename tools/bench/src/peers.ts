// The peers' programs and the Python that runs them.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KindredError } from '@kindred/errors';
import { pythonWith } from '@kindred/python-environment';

/** Folder of the peers' programs: `tools/bench/peers` of the checkout that the folder `start` lies in. */
export function peersFolder(start: string): string {
  for (let folder = start; ; folder = dirname(folder)) {
    const candidate = join(folder, 'tools', 'bench', 'peers');
    if (existsSync(join(candidate, 'requirements.txt'))) return candidate;
    if (folder === dirname(folder)) {
      throw new KindredError('NOT_FOUND', `no tools/bench/peers above ${start}; run the benchmark from a checkout`);
    }
  }
}

/**
 * The interpreter of an environment that holds `requirements.txt` of `peers`. Installs it where it is missing: several
 * GB, because PyTorch's wheels on PyPI bring CUDA. `KINDRED_BENCH_PYTHON` names an interpreter to use instead.
 */
export async function pythonOfPeers(peers: string, say: (line: string) => void): Promise<string> {
  const given = process.env['KINDRED_BENCH_PYTHON'];
  if (given !== undefined && given !== '') return given;
  const file = join(peers, 'requirements.txt');
  return pythonWith({ purpose: 'bench', file, contents: 'the peers (PyTorch and others; several GB)', say });
}

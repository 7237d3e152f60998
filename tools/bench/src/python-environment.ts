// The peers' own Python environment, made when it is first needed and kept in the user's cache folder.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { KindredError } from '@kindred/errors';
import { withLock } from '@kindred/setup/lock';

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

/** The cache folder: `KINDRED_CACHE`, else `kindred` in XDG's cache folder. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const set = environment['KINDRED_CACHE'];
  if (set !== undefined && set !== '') return set;
  return join(environment['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'kindred');
}

/** Name of the environment for these requirements: other pins, other folder. */
export function environmentName(requirements: string): string {
  return `bench-venv-${createHash('sha256').update(requirements).digest('hex').slice(0, 12)}`;
}

/**
 * The interpreter of an environment that holds `requirements.txt` of `peers`. Installs it where it is missing: several
 * GB, because PyTorch's wheels on PyPI bring CUDA. `KINDRED_BENCH_PYTHON` names an interpreter to use instead.
 */
export async function pythonOfPeers(peers: string, say: (line: string) => void): Promise<string> {
  const given = process.env['KINDRED_BENCH_PYTHON'];
  if (given !== undefined && given !== '') return given;
  const requirements = join(peers, 'requirements.txt');
  const folder = join(cacheFolder(), environmentName(await readFile(requirements, 'utf8')));
  const python = join(folder, 'bin', 'python');
  const whole = join(folder, 'complete');
  if (existsSync(whole)) return python;

  // Benchmarks of several checkouts share the environment: one installs, the others wait and then find it.
  let waiting = false;
  const onWait = (owner: string): void => {
    if (!waiting) say(`waiting for process ${owner}, which installs the peers`);
    waiting = true;
  };
  await withLock(
    join(cacheFolder(), 'locks', 'bench-venv'),
    async () => {
      if (!existsSync(whole)) await install({ folder, python, requirements, say });
      await writeFile(whole, '');
    },
    { onWait },
  );
  return python;
}

async function install({
  folder,
  python,
  requirements,
  say,
}: {
  readonly folder: string;
  readonly python: string;
  readonly requirements: string;
  readonly say: (line: string) => void;
}): Promise<void> {
  const begin = Date.now();
  say(`installing the peers (PyTorch and others; several GB, once) into ${folder}`);
  // An environment cannot be moved after it is made; what an interrupted installation left is thrown away.
  await rm(folder, { recursive: true, force: true });
  await mkdir(dirname(folder), { recursive: true });
  await execute(
    'python3',
    ['-m', 'venv', folder],
    'install it, on Debian and Ubuntu with: apt-get install python3-venv',
  );
  await execute(
    python,
    [
      ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-compile'],
      ...['--requirement', requirements],
    ],
    'check that the package index can be reached and that 8 GB are free',
  );
  say(`installed in ${Math.round((Date.now() - begin) / 1000)} s`);
}

function execute(program: string, args: readonly string[], advice: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string) =>
      reject(
        new KindredError('FAILED_PRECONDITION', `'${[program, ...args].join(' ')}' failed (${reason}); ${advice}`),
      );
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.once('error', (error) => fail(error.message));
    child.once('close', (code, signal) => (code === 0 ? resolve() : fail(signal ?? `exit code ${code}`)));
  });
}

// An environment's folder is named by the hash of its requirements: other pins, other folder.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { KindredError } from '@kindred/errors';
import { withLock } from '@kindred/setup/lock';

/** What an environment is to hold. */
export interface PythonRequirements {
  /** What the environment is for, the beginning of its folder's name: `bench`. */
  readonly purpose: string;
  /** A `requirements.txt` with exact pins. */
  readonly file: string;
  /** What is in it and how much, for people who wait: `PyTorch and others; several GB`. */
  readonly contents: string;
  readonly say: (line: string) => void;
  /**
   * The file names all that is installed: what its packages want beside it comes from elsewhere, for example by `PYTHONPATH`
   * from an environment that has the gigabytes of PyTorch already. @default false
   */
  readonly complete?: boolean;
}

/** Name of the folder of an environment, for the text of its requirements. */
export function environmentName(purpose: string, requirements: string): string {
  return `${purpose}-venv-${createHash('sha256').update(requirements).digest('hex').slice(0, 12)}`;
}

/**
 * The interpreter of an environment that holds the requirements. Installs it where it is missing, in the cache folder:
 * `KINDRED_CACHE`, else `kindred` in XDG's. @throws KindredError FAILED_PRECONDITION where Python or pip can't.
 */
export async function pythonWith(requirements: PythonRequirements): Promise<string> {
  const { purpose, file, say } = requirements;
  const cache = cacheFolder(process.env);
  const folder = join(cache, environmentName(purpose, await readFile(file, 'utf8')));
  const python = join(folder, 'bin', 'python');
  const whole = join(folder, 'complete');
  if (existsSync(whole)) return python;

  // Several checkouts share the environment: one installs, the others wait and then find it.
  let waiting = false;
  const onWait = (owner: string): void => {
    if (!waiting) say(`waiting for process ${owner}, which installs the same`);
    waiting = true;
  };
  await withLock(
    join(cache, 'locks', `${purpose}-venv`),
    async () => {
      if (!existsSync(whole)) await install(requirements, folder, python);
      await writeFile(whole, '');
    },
    { onWait },
  );
  return python;
}

function cacheFolder(environment: NodeJS.ProcessEnv): string {
  const set = environment['KINDRED_CACHE'];
  if (set !== undefined && set !== '') return set;
  return join(environment['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'kindred');
}

async function install(
  { file, contents, say, complete = false }: PythonRequirements,
  folder: string,
  python: string,
): Promise<void> {
  const begin = Date.now();
  say(`installing ${contents}, once, into ${folder}`);
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
      ...(complete ? ['--no-deps'] : []),
      ...['--requirement', file],
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

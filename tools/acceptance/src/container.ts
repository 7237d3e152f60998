// A container of an image that buildah has built, started as a pod's security context would have it: the user of the image, a read-only root,
// no capability, no way to more privileges, its own processes; only the network is this machine's.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What an image says of itself (OCI image configuration). */
export interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Cmd: readonly string[];
  readonly WorkingDir: string;
  readonly Labels: Readonly<Record<string, string>>;
}

/** An image: what it says, its layers by digest, and its files. */
export interface Image {
  readonly config: ImageConfig;
  readonly layers: readonly string[];
}

/** A container that runs. */
export interface Container {
  readonly child: ChildProcess;
  /** The id, out here, of its first process. */
  pid(): number;
  /** What it has written to standard output and error. */
  words(): string;
  /** Asks it to end, as a kubelet does; resolves with its exit code. */
  stop(): Promise<number>;
}

/** Words that bring buildah to a storage. */
export type Buildah = (...words: readonly string[]) => Promise<string>;

/** buildah on the storage in `folder` that `tools/build/images.mjs --storage` has filled. */
export function buildahIn(folder: string): Buildah {
  return async (...words) =>
    (
      await run('buildah', ['--root', `${folder}/storage`, '--runroot', `${folder}/run`, ...words], {
        maxBuffer: 2 ** 26,
      })
    ).stdout.trim();
}

/** Reads an image's configuration. */
export async function readImage(buildah: Buildah, name: string): Promise<Image> {
  const { OCIv1 } = JSON.parse(await buildah('inspect', '--type', 'image', name)) as {
    OCIv1: { config: ImageConfig; rootfs: { diff_ids: readonly string[] } };
  };
  return { config: OCIv1.config, layers: OCIv1.rootfs.diff_ids };
}

/** In namespaces of its own: the image's files, a folder to have inside at the same path, working folder, user; then settings and program. */
const inside = `
set -e
root=$1 volume=$2 work=$3 user=$4; shift 4
mount --bind "$root" "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o nosuid,mode=755 tmpfs "$root/dev"
for name in null zero full random urandom; do : > "$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"; done
mkdir "$root/dev/shm"
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
mkdir -p "$root$volume"
mount --bind "$volume" "$root$volume"
mount -o remount,bind,ro "$root"
exec chroot "$root" env -i -C "$work" setpriv --reuid "\${user%:*}" --regid "\${user#*:}" --clear-groups \\
  --no-new-privs --inh-caps=-all --bounding-set=-all env "$@"
`;

/**
 * Starts the program of the image whose files are at `root` (`buildah mount`), or `command` in its place.
 * `volume` is the one folder of this machine that it has, at the same path; `environment` goes over the image's own.
 */
export function startContainer(
  { config }: Image,
  root: string,
  volume: string,
  environment: Readonly<Record<string, string>>,
  command: readonly string[] = config.Cmd,
): Container {
  const settings = [...config.Env, ...Object.entries(environment).map(([name, value]) => `${name}=${value}`)];
  const child = spawn(
    'unshare',
    [
      ...['--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child', 'sh', '-c', inside, 'sh'],
      ...[root, volume, config.WorkingDir, config.User, ...settings, ...command],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (said += text.toString()));
  const ended = once(child, 'close').then(([code]) => Number(code ?? -1));
  // unshare itself ends only when its child has.
  const pid = (): number => Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim());
  return {
    child,
    pid,
    words: () => said,
    async stop() {
      if (child.exitCode === null) process.kill(pid(), 'SIGTERM');
      return ended;
    },
  };
}

// Pods of a manifest as plain processes: each in a network of its own with the address and the names that a cluster would give it, with
// exactly the manifest's environment and arguments, as its user, in a root that it cannot write to. Needs root, for Linux' namespaces.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import type { PodTemplate } from '@kindred/manifests';

/** Networks and names of some pods; nobody else sees them. */
export interface PodNetwork {
  /** Replaces what names stand for: a name has the addresses of its pods. Pods see it at once. */
  name(names: Readonly<Record<string, readonly string[]>>): void;
  /** Gives a pod another address. */
  move(pod: string, address: string): Promise<void>;
  /** Runs a program in a pod's network. */
  run(pod: string, command: readonly string[], environment: NodeJS.ProcessEnv): ChildProcess;
  /** `127.0.0.1:port` here that leads to a port of a pod. */
  door(pod: string, port: number): Promise<string>;
  close(): Promise<void>;
}

/** What a container's environment is made from, beside the manifest. */
export interface PodFacts {
  readonly name: string;
  /** `secret/key`: value. */
  readonly secrets: Readonly<Record<string, string>>;
  /** `limits.cpu`: number. */
  readonly resources: Readonly<Record<string, string>>;
}

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly fieldRef?: { readonly fieldPath: string };
    readonly secretKeyRef?: { readonly name: string; readonly key: string };
    readonly resourceFieldRef?: { readonly resource: string };
  };
}

/** Whether this process may make networks and has the programs for it; not so in most containers. */
export const canMakeNetworks =
  process.getuid?.() === 0 &&
  spawnSync('unshare', ['--net', '--mount', 'sh', '-c', 'command -v ip && command -v nsenter && command -v setpriv'])
    .status === 0;

const stageScript = String.raw`
set -eu
folder=$1; shift
mount --make-rprivate /
mkdir -p /run/netns
mount -t tmpfs none /run/netns
mount --bind "$folder/hosts" /etc/hosts
mount --bind "$folder/resolv.conf" /etc/resolv.conf
ip link add pods type bridge
ip link set pods up
place=0
for pod in "$@"; do
  # The kernel's names of devices have 15 characters at most.
  place=$((place + 1))
  ip netns add "$pod"
  ip link add "pod-$place" type veth peer name eth0 netns "$pod"
  ip link set "pod-$place" master pods up
  ip -n "$pod" link set lo up
  ip -n "$pod" link set eth0 up
done
echo ready
cat > /dev/null
`;
const podScript = String.raw`
set -eu
name=$1 folder=$2 program=$3 uid=$4; shift 4
hostname "$name"
mount -t tmpfs none /var/lib
mkdir /var/lib/volume
touch /var/lib/program
mount --bind "$folder" /var/lib/volume
mount --bind "$program" /var/lib/program
mount -t tmpfs -o mode=1777 none /tmp
mount -o remount,ro,bind /
exec setpriv --reuid "$uid" --regid "$uid" --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all /var/lib/program "$@"
`;
/** Where a container's volume is in a pod of the scripts above. */
export const volumePath = '/var/lib/volume';

/** Makes a network for each pod. `folder` is for its files, among them `pods.log`: what they say. */
export async function openPodNetwork(folder: string, pods: readonly string[]): Promise<PodNetwork> {
  mkdirSync(folder, { recursive: true });
  const hosts = join(folder, 'hosts');
  writeFileSync(hosts, '127.0.0.1 localhost\n');
  writeFileSync(join(folder, 'resolv.conf'), '');
  const stage = spawn('unshare', ['--net', '--mount', 'bash', '-c', stageScript, 'stage', folder, ...pods], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const log = openSync(join(folder, 'pods.log'), 'a');
  const closing: (() => void)[] = [];
  const inside = (pod: string): string[] => [
    `--mount=/proc/${stage.pid}/ns/mnt`,
    `--net=/proc/${stage.pid}/root/run/netns/${pod}`,
  ];
  const run: PodNetwork['run'] = (pod, command, environment) =>
    spawn('nsenter', [...inside(pod), '--', ...command], { env: environment, stdio: ['ignore', log, log] });
  const first = await Promise.race([once(stage.stdout, 'data'), once(stage, 'exit').then(() => [''])]);
  if (!String(first[0]).includes('ready')) throw new Error('no networks for pods could be made: the reason is above');
  return {
    run,
    name(names) {
      const lines = Object.entries(names).flatMap(([name, addresses]) => addresses.map((one) => `${one} ${name}`));
      writeFileSync(hosts, ['127.0.0.1 localhost', ...lines, ''].join('\n'));
    },
    async move(pod, address) {
      const script = `ip addr flush dev eth0; ip addr add ${address}/24 dev eth0`;
      const [code] = await once(run(pod, ['bash', '-c', script], process.env), 'exit');
      if (code !== 0) throw new Error(`${pod} did not get the address ${address}`);
    },
    async door(pod, port) {
      const socket = join(folder, `${pod}-${port}.sock`);
      // Paths of sockets are not bound to a network.
      const relay = `const net = require('node:net');
        net.createServer((one) => { const other = net.connect(${port}, '127.0.0.1');
          one.on('error', () => other.destroy()); other.on('error', () => one.destroy()); one.pipe(other).pipe(one);
        }).listen(process.argv[1])`;
      const child = run(pod, [process.execPath, '-e', relay, socket], process.env);
      const server = createServer((one) => {
        const other = connect(socket);
        one.on('error', () => other.destroy());
        other.on('error', () => one.destroy());
        one.pipe(other).pipe(one);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      closing.push(() => {
        child.kill('SIGKILL');
        server.close();
      });
      return `127.0.0.1:${(server.address() as { port: number }).port}`;
    },
    async close() {
      for (const end of closing) end();
      const gone = once(stage, 'exit');
      stage.stdin.end();
      await gone;
      closeSync(log);
    },
  };
}

/** The environment that a container gets, and nothing else. @throws Error for a source that is not known here. */
export function environmentOf({ spec }: PodTemplate, facts: PodFacts): Record<string, string> {
  const entries = (spec.containers[0].env as Variable[]).map(({ name, value, valueFrom }) => {
    const secret = valueFrom?.secretKeyRef;
    const found =
      value ??
      (valueFrom?.fieldRef?.fieldPath === 'metadata.name' ? facts.name : undefined) ??
      (secret === undefined ? undefined : facts.secrets[`${secret.name}/${secret.key}`]) ??
      facts.resources[valueFrom?.resourceFieldRef?.resource ?? ''];
    if (found === undefined) throw new Error(`nothing is known that ${name} could be`);
    return [name, found] as const;
  });
  return Object.fromEntries(entries);
}

/**
 * Starts the first container of a pod: `program` with the container's arguments, its one claimed volume in `folder`.
 */
export function startPod(
  network: PodNetwork,
  template: PodTemplate,
  facts: PodFacts,
  { folder, program }: { readonly folder: string; readonly program: string },
): ChildProcess {
  const { spec } = template;
  const uid = spec.securityContext.runAsUser as number;
  mkdirSync(folder, { recursive: true });
  // fsGroup: the volume is the group's.
  chownSync(folder, uid, uid);
  const [{ mountPath }] = spec.containers[0].volumeMounts as { mountPath: string }[] as [{ mountPath: string }];
  const environment = Object.fromEntries(
    Object.entries(environmentOf(template, facts)).map(([name, value]) => [name, value.replace(mountPath, volumePath)]),
  );
  const words = ['unshare', '--mount', '--uts', 'bash', '-c', podScript, 'pod'];
  const args = [facts.name, folder, program, String(uid), ...(spec.containers[0].args as string[])];
  return network.run(facts.name, [...words, ...args], { PATH: process.env['PATH'], ...environment });
}

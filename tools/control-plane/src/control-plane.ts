// A real control plane on loopback: etcd, API server, controllers, scheduler; kwok plays the kubelets of its nodes.
import { spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '@kindred/testing';
import { createCertificateAuthority } from '@kindred/testing/certificates';
import { createApiClient, type ApiClient } from './api-client.js';
import { createDaemon, type Daemon } from './daemon.js';
import { kwokStages } from './kwok-stages.js';
import { defaultNodes, nodeObject, type NodeDescription } from './node.js';
import type { ControlPlanePrograms } from './programs.js';

/** What a call of kubectl came to. */
export interface KubectlResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A control plane that runs. */
export interface ControlPlane {
  /** `https://127.0.0.1:PORT`. */
  readonly url: string;
  /** PEM file of whoever issued the API server's certificate. */
  readonly caFile: string;
  /** Folder of its files and logs; gone when it is closed. */
  readonly folder: string;
  /** Kubeconfig of one who may do everything. */
  readonly kubeconfig: string;
  readonly kubectlPath: string;
  /** The API as one who may do everything. */
  readonly api: ApiClient;
  /** A certificate for a server on 127.0.0.1 that the API server trusts as a kubelet's. */
  readonly kubeletCertificate: { readonly certFile: string; readonly keyFile: string };
  /** Calls kubectl as one who may do everything, with `input` as its standard input. */
  kubectl(args: readonly string[], input?: string): Promise<KubectlResult>;
  /** Makes a node that kwok plays, and waits until it is ready. */
  addNode(node: NodeDescription): Promise<void>;
  /** Makes a kubeconfig of a service account, with a token that is valid for an hour. */
  serviceAccountKubeconfig(namespace: string, name: string): Promise<string>;
  /** The API server goes away at once (SIGKILL). */
  stopApiServer(): Promise<void>;
  startApiServer(): Promise<void>;
  /** Ids of its processes by name. */
  pids(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

/** How to start it. */
export interface ControlPlaneOptions {
  readonly programs: ControlPlanePrograms;
  /** Nodes that kwok plays. @default one CPU node and two with one GPU each */
  readonly nodes?: readonly NodeDescription[];
  /** More of the API server's flags. @default none */
  readonly apiServerFlags?: readonly string[];
}

const kwokAnnotation = 'kwok.x-k8s.io/node';

/** Starts a control plane (seconds) and waits until its nodes are ready. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { programs, nodes = defaultNodes, apiServerFlags = [] } = options;
  const folder = mkdtempSync(join(tmpdir(), 'kindred-control-plane-'));
  mkdirSync(join(folder, 'logs'));
  const ports = await freePorts();
  const url = `https://127.0.0.1:${ports.api}`;
  const token = randomBytes(16).toString('hex');
  const file = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content, { mode: 0o600 });
    return join(folder, name);
  };
  const authority = await createCertificateAuthority(join(folder, 'certificates'));
  const serving = await authority.issue('kube-apiserver', [
    ...['localhost', '127.0.0.1', '10.0.0.1', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'],
  ]);
  const kubeletCertificate = await authority.issue('kubelet');
  const keys = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const accountsPublic = file('service-accounts.pub', keys.publicKey);
  const accountsPrivate = file('service-accounts.key', keys.privateKey);
  const kubeconfig = file('admin.conf', kubeconfigText(url, authority.caFile, token));
  const api = createApiClient({ url, caFile: authority.caFile, token });
  const daemon = (name: keyof ControlPlanePrograms, isReady: () => Promise<boolean>, args: readonly string[]): Daemon =>
    createDaemon({ name, program: programs[name], args, isReady, log: join(folder, 'logs', `${name}.log`) });

  const etcd = daemon('etcd', async () => (await fetch(`http://127.0.0.1:${ports.etcd}/readyz`)).ok, [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=http://127.0.0.1:${ports.etcd}`,
    `--advertise-client-urls=http://127.0.0.1:${ports.etcd}`,
    `--listen-peer-urls=http://127.0.0.1:${ports.peer}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${ports.peer}`,
    `--initial-cluster=default=http://127.0.0.1:${ports.peer}`,
    // A control plane that lives for minutes: what it wrote need not outlive the machine.
    '--unsafe-no-fsync',
    '--log-level=warn',
  ]);
  const apiServer = daemon('kube-apiserver', async () => (await api.text('/readyz')) === 'ok', [
    `--etcd-servers=http://127.0.0.1:${ports.etcd}`,
    `--secure-port=${ports.api}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    '--endpoint-reconciler-type=none',
    `--tls-cert-file=${serving.certFile}`,
    `--tls-private-key-file=${serving.keyFile}`,
    `--cert-dir=${join(folder, 'certificates')}`,
    `--token-auth-file=${file('tokens.csv', `${token},admin,admin,system:masters\n`)}`,
    '--authorization-mode=RBAC',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${accountsPublic}`,
    `--service-account-signing-key-file=${accountsPrivate}`,
    '--service-cluster-ip-range=10.0.0.0/24',
    `--kubelet-certificate-authority=${authority.caFile}`,
    '--kubelet-preferred-address-types=InternalIP',
    '--allow-privileged=true',
    // A node that is lost is lost after seconds instead of minutes.
    '--default-not-ready-toleration-seconds=5',
    '--default-unreachable-toleration-seconds=5',
    ...apiServerFlags,
  ]);
  const controllers = daemon('kube-controller-manager', listensAt(ports.controllers), [
    `--kubeconfig=${kubeconfig}`,
    '--leader-elect=false',
    '--bind-address=127.0.0.1',
    `--secure-port=${ports.controllers}`,
    `--service-account-private-key-file=${accountsPrivate}`,
    `--root-ca-file=${authority.caFile}`,
    '--node-monitor-period=2s',
    '--node-monitor-grace-period=20s',
  ]);
  const scheduler = daemon('kube-scheduler', listensAt(ports.scheduler), [
    `--kubeconfig=${kubeconfig}`,
    '--leader-elect=false',
    '--bind-address=127.0.0.1',
    `--secure-port=${ports.scheduler}`,
  ]);
  const kwok = daemon('kwok', listensAt(ports.kwok), [
    `--kubeconfig=${kubeconfig}`,
    `--config=${file('kwok.yaml', kwokStages)}`,
    `--manage-nodes-with-annotation-selector=${kwokAnnotation}=fake`,
    '--node-ip=127.0.0.1',
    '--node-lease-duration-seconds=40',
    `--server-address=127.0.0.1:${ports.kwok}`,
  ]);
  const daemons = [etcd, apiServer, controllers, scheduler, kwok];

  const addNode = async (node: NodeDescription): Promise<void> => {
    const annotations = { [kwokAnnotation]: 'fake', ...node.annotations };
    await api.create('/api/v1/nodes', nodeObject({ ...node, annotations }));
    await until(async () => isReadyNode(await api.get(`/api/v1/nodes/${node.name}`)), `node ${node.name} is ready`);
  };
  const close = async (): Promise<void> => {
    api.close();
    for (const one of [...daemons].reverse()) await one.stop(one === etcd ? 'SIGTERM' : 'SIGKILL');
    if (process.env['KINDRED_KEEP_CONTROL_PLANE'] === undefined) rmSync(folder, { recursive: true, force: true });
  };
  try {
    await etcd.start();
    await apiServer.start();
    await Promise.all([controllers.start(), scheduler.start(), kwok.start()]);
    for (const node of nodes) await addNode(node);
  } catch (thrown) {
    await close();
    throw thrown;
  }
  return {
    url,
    caFile: authority.caFile,
    folder,
    kubeconfig,
    kubectlPath: programs.kubectl,
    api,
    kubeletCertificate,
    kubectl: (args, input) => runKubectl(programs.kubectl, ['--kubeconfig', kubeconfig, ...args], input),
    addNode,
    async serviceAccountKubeconfig(namespace, name) {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
      const reply = await api.create(path, { spec: { expirationSeconds: 3600 } });
      const text = kubeconfigText(
        url,
        authority.caFile,
        (reply as { status: { token: string } }).status.token,
        namespace,
      );
      return file(`${namespace}-${name}-${randomBytes(4).toString('hex')}.conf`, text);
    },
    stopApiServer: () => apiServer.stop('SIGKILL'),
    startApiServer: () => apiServer.start(),
    pids: () => Object.fromEntries(daemons.map((one) => [one.name, one.pid()])),
    close,
  };
}

/** Waits until `holds`; a state of the cluster, which tells of no change but by asking. @throws Error after `ms` */
export async function until(holds: () => Promise<boolean>, what: string, ms = 60_000): Promise<void> {
  for (const began = Date.now(); !(await holds()); await delay(200)) {
    if (Date.now() - began > ms) throw new Error(`not so after ${ms} ms: ${what}`);
  }
}

function isReadyNode(node: { status?: { conditions?: { type: string; status: string }[] } }): boolean {
  return node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

async function freePorts() {
  return {
    etcd: await freePort(),
    peer: await freePort(),
    api: await freePort(),
    controllers: await freePort(),
    scheduler: await freePort(),
    kwok: await freePort(),
  };
}

/** Their health pages have certificates of their own; each opens its port when it is set up, which is enough. */
function listensAt(port: number): () => Promise<boolean> {
  return () =>
    new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1' });
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
}

/** A kubeconfig; JSON is YAML too. */
function kubeconfigText(server: string, caFile: string, token: string, namespace = 'default'): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'loopback', cluster: { server, 'certificate-authority': caFile } }],
    users: [{ name: 'user', user: { token } }],
    contexts: [{ name: 'default', context: { cluster: 'loopback', user: 'user', namespace } }],
    'current-context': 'default',
  });
}

function runKubectl(program: string, args: readonly string[], input = ''): Promise<KubectlResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (part: string) => (stdout += part));
    child.stderr.setEncoding('utf8').on('data', (part: string) => (stderr += part));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
    child.stdin.end(input);
  });
}

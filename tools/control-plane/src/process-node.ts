// A node whose pods are plain processes of this machine: a stand-in for a kubelet and its container runtime.
// It starts the command of a pod's first container with its environment, says in the pod's status how it goes, ends it when
// the pod is deleted, and serves its log. Not there: images, volumes, probes, limits, network policies, restarts of containers.
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { ApiError, type ApiObject } from './api-client.js';
import { until, type ControlPlane } from './control-plane.js';
import { nodeObject, type NodeDescription } from './node.js';

/** A node that runs processes. */
export interface ProcessNode {
  readonly name: string;
  /** Id of a pod's process; null: it has none. */
  pid(pod: string): number | null;
  /** Ends a pod's process as the kernel does that has no memory left: SIGKILL, and the reason OOMKilled. */
  killForMemory(pod: string): void;
  /** Hears nothing more of a pod, whose process goes on whatever becomes of its object: as behind a network that is cut. */
  loseSightOf(pod: string): void;
  /** The machine is gone: its processes are killed, and nobody says so. */
  lose(): Promise<void>;
  /** Ends all of it. */
  close(): Promise<void>;
}

/** What a node is made of. */
export interface ProcessNodeOptions extends NodeDescription {
  /** More of each process's environment, e.g. PATH. @default PATH and HOME of this process */
  readonly environment?: Readonly<Record<string, string>>;
}

interface RunningPod {
  readonly name: string;
  readonly child: ChildProcess;
  readonly startedAt: string;
  log: string;
  reason: string | null;
  stopping: boolean;
  /** Its end is in its status. */
  said: boolean;
}

const keptLog = 1_000_000;
const heartbeatMs = 3_000;
const defaultGraceSeconds = 30;

/** Adds a node to the cluster and waits until it is ready. */
export async function startProcessNode(plane: ControlPlane, options: ProcessNodeOptions): Promise<ProcessNode> {
  const { api } = plane;
  const { name } = options;
  const path = process.env['PATH'] ?? '';
  const base = { PATH: path, HOME: process.env['HOME'] ?? '/tmp', ...options.environment };
  const pods = new Map<string, RunningPod>();
  const unseen = new Set<string>();
  const ending = new AbortController();
  const working = new Set<Promise<void>>();
  const inBackground = (work: Promise<void>): void => {
    working.add(work);
    void work.finally(() => working.delete(work));
  };

  const isThere = async (pod: ApiObject): Promise<boolean> => {
    try {
      return (await api.get(pathOf(pod))).metadata.uid === pod.metadata.uid;
    } catch (thrown) {
      return !(thrown instanceof ApiError && thrown.status === 404);
    }
  };

  /** Says something of a pod until it is heard: the API server may be away. What is gone needs no word. */
  const say = async (pod: ApiObject, words: () => Promise<unknown>): Promise<void> => {
    while (!ending.signal.aborted) {
      try {
        await words();
        return;
      } catch {
        if (!(await isThere(pod))) return;
        await delay(500, undefined, { signal: ending.signal }).catch(() => {});
      }
    }
  };

  const patchStatus = (pod: ApiObject, status: unknown): Promise<void> =>
    say(pod, () => api.patch(`${pathOf(pod)}/status`, { metadata: { uid: pod.metadata.uid }, status }));

  const remove = (pod: ApiObject): Promise<void> =>
    say(pod, () => api.delete(pathOf(pod), { gracePeriodSeconds: 0, preconditions: { uid: pod.metadata.uid } }));

  const start = async (pod: ApiObject): Promise<void> => {
    const container = pod.spec.containers[0];
    const [program, ...args] = [...(container.command ?? []), ...(container.args ?? [])] as string[];
    const env = { ...base, ...environmentOf(pod, container) };
    const child = spawn(program ?? 'false', args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const running: RunningPod = {
      name: pod.metadata.name,
      child,
      startedAt: now(),
      log: '',
      reason: null,
      stopping: false,
      said: false,
    };
    pods.set(pod.metadata.uid, running);
    const keep = (part: Buffer): void => void (running.log = (running.log + part.toString()).slice(-keptLog));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) => keep(Buffer.from(String(error))));
    const ended = new Promise<number>((resolve) => {
      child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : 143)));
    });
    const times = { startTime: running.startedAt, hostIP: '127.0.0.1', podIP: '127.0.0.1' };
    await patchStatus(pod, {
      ...times,
      phase: 'Running',
      conditions: conditions('True'),
      containerStatuses: [statusOf(container, true, { running: { startedAt: running.startedAt } })],
    });
    const exitCode = await ended;
    if (ending.signal.aborted) return;
    const reason = running.reason ?? (exitCode === 0 ? 'Completed' : 'Error');
    const terminated = { exitCode, reason, startedAt: running.startedAt, finishedAt: now() };
    await patchStatus(pod, {
      phase: exitCode === 0 ? 'Succeeded' : 'Failed',
      conditions: conditions('False'),
      containerStatuses: [statusOf(container, false, { terminated })],
    });
    running.said = true;
    if (running.stopping) await remove(pod);
  };

  const stop = (running: RunningPod, pod: ApiObject): void => {
    if (running.stopping) return;
    running.stopping = true;
    running.child.kill('SIGTERM');
    const graceSeconds = pod.metadata.deletionGracePeriodSeconds ?? defaultGraceSeconds;
    setTimeout(() => running.child.kill('SIGKILL'), graceSeconds * 1000).unref();
  };

  const sync = (pod: ApiObject): void => {
    if (unseen.has(pod.metadata.name)) return;
    const running = pods.get(pod.metadata.uid);
    if (pod.metadata.deletionTimestamp !== undefined) {
      if (running === undefined || running.said) inBackground(remove(pod));
      else stop(running, pod);
    } else if (running === undefined && (pod.status.phase ?? 'Pending') === 'Pending') {
      inBackground(start(pod));
    }
  };

  const follow = async (): Promise<void> => {
    const list = `/api/v1/pods?fieldSelector=spec.nodeName%3D${name}`;
    while (!ending.signal.aborted) {
      try {
        const { items, metadata } = await api.get(list);
        for (const pod of items) sync(pod);
        for await (const { type, object } of api.watch(list, metadata.resourceVersion, ending.signal)) {
          if (type === 'ERROR') break;
          if (type === 'ADDED' || type === 'MODIFIED') sync(object);
        }
      } catch {
        await delay(500, undefined, { signal: ending.signal }).catch(() => {});
      }
    }
  };

  const runningOf = (pod: string): RunningPod | undefined => [...pods.values()].find((running) => running.name === pod);
  const logs = await serveLogs(plane, (pod) => runningOf(pod)?.log ?? null);

  const beat = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      const renewTime = now().replace('Z', '000Z');
      const lease = { spec: { holderIdentity: name, leaseDurationSeconds: 20, renewTime } };
      await api.patch(`/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${name}`, lease).catch(() => {});
      // A node that was not heard of for a while counts as unknown until it says again that it is ready.
      const lastHeartbeatTime = now();
      const ready = { type: 'Ready', status: 'True', reason: 'Ready', lastHeartbeatTime };
      await api.patch(`/api/v1/nodes/${name}/status`, { status: { conditions: [ready] } }).catch(() => {});
      await delay(heartbeatMs, undefined, { signal: ending.signal }).catch(() => {});
    }
  };

  const node = nodeObject(options);
  await api.create('/api/v1/nodes', node);
  await api.create('/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases', {
    metadata: { name },
    spec: { holderIdentity: name, leaseDurationSeconds: 20, renewTime: now().replace('Z', '000Z') },
  });
  await api.patch(`/api/v1/nodes/${name}/status`, {
    status: {
      conditions: [
        { type: 'Ready', status: 'True', reason: 'Ready', lastHeartbeatTime: now(), lastTransitionTime: now() },
      ],
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: (logs.address() as AddressInfo).port } },
    },
  });
  inBackground(beat());
  inBackground(follow());
  const isFree = async (): Promise<boolean> =>
    !((await api.get(`/api/v1/nodes/${name}`)).spec.taints ?? []).some(({ key }: { key: string }) =>
      key.startsWith('node.kubernetes.io/'),
    );
  await until(isFree, `node ${name} is free of taints`);

  const end = async (): Promise<void> => {
    ending.abort();
    const gone = [...pods.values()].map(({ child }) => {
      if (!isAlive({ child })) return null;
      const closed = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGKILL');
      return closed;
    });
    await Promise.all([...gone, ...working]);
    logs.closeAllConnections();
    await new Promise((resolve) => logs.close(resolve));
  };
  return {
    name,
    pid: (pod) => runningOf(pod)?.child.pid ?? null,
    killForMemory(pod) {
      const running = runningOf(pod);
      if (running === undefined) throw new Error(`${pod} runs no process on ${name}`);
      running.reason = 'OOMKilled';
      running.child.kill('SIGKILL');
    },
    loseSightOf: (pod) => void unseen.add(pod),
    lose: end,
    close: end,
  };
}

function isAlive({ child }: Pick<RunningPod, 'child'>): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

/** What `kubectl logs` asks a kubelet for. */
function serveLogs({ kubeletCertificate }: ControlPlane, logOf: (pod: string) => string | null): Promise<Server> {
  const cert = readFileSync(kubeletCertificate.certFile);
  const server = createServer({ cert, key: readFileSync(kubeletCertificate.keyFile) }, (request, response) => {
    const url = new URL(request.url ?? '/', 'https://node');
    const [, kind, , pod = ''] = url.pathname.split('/');
    const log = kind === 'containerLogs' ? logOf(pod) : null;
    const lines = Number(url.searchParams.get('tailLines') ?? Infinity);
    response.statusCode = log === null ? 404 : 200;
    const tail = (log ?? 'no such log').split('\n').slice(-lines - 1);
    const bytes = Number(url.searchParams.get('limitBytes') ?? Infinity);
    response.end(Buffer.from(tail.join('\n')).subarray(0, bytes));
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

function environmentOf(pod: ApiObject, container: ApiObject): Record<string, string> {
  const fields: Record<string, string> = {
    'metadata.name': pod.metadata.name,
    'metadata.namespace': pod.metadata.namespace,
    'metadata.uid': pod.metadata.uid,
    'spec.nodeName': pod.spec.nodeName,
  };
  for (const [key, value] of Object.entries<string>(pod.metadata.labels ?? {}))
    fields[`metadata.labels['${key}']`] = value;
  const environment: Record<string, string> = {};
  for (const { name, value, valueFrom } of container.env ?? []) {
    environment[name] = value ?? fields[valueFrom?.fieldRef?.fieldPath] ?? '';
  }
  return environment;
}

function statusOf(container: ApiObject, ready: boolean, state: unknown) {
  const { name, image } = container;
  return { name, image, imageID: image, ready, started: ready, restartCount: 0, state };
}

function conditions(status: 'True' | 'False') {
  const lastTransitionTime = now();
  return [
    { type: 'Initialized', status: 'True', lastTransitionTime },
    { type: 'ContainersReady', status, lastTransitionTime },
    { type: 'Ready', status, lastTransitionTime },
  ];
}

function pathOf({ metadata }: ApiObject): string {
  return `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`;
}

function now(): string {
  return new Date().toISOString();
}

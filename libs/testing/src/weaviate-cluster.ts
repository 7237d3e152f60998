// Weaviate nodes as processes on loopback: a cluster that tests and benchmarks start, kill and bring back.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from './s3-server.js';

/** A cluster. Ports are the same over restarts. */
export interface WeaviateTestCluster {
  /** As KINDRED_NEIGHBOR_INDEX_WEAVIATE_NODES takes them. */
  readonly addresses: string;
  readonly nodes: readonly { readonly httpPort: number; readonly grpcPort: number }[];
  /** `kill -9`; resolves when the process is gone. */
  kill(node: number): Promise<void>;
  /** Starts a node that was killed, and waits until it is ready. */
  restart(node: number): Promise<void>;
  stop(): Promise<void>;
}

interface Ports {
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly gossip: number;
  readonly raft: number;
}

const startMs = 120_000;

/**
 * Starts `count` nodes of the program at `binary`, their data and logs below `folder`, and waits until all are ready. Weaviate's gRPC and data
 * ports listen on all interfaces, whatever it is told: run it where only loopback is.
 */
export async function startWeaviateCluster(
  binary: string,
  folder: string,
  count: number,
  settings: Readonly<Record<string, string>> = {},
): Promise<WeaviateTestCluster> {
  const ports: Ports[] = [];
  for (let node = 0; node < count; node++) {
    // Their neighbours are taken by convention: data beside gossip, Raft's calls beside Raft.
    ports.push({
      httpPort: await freePort(),
      grpcPort: await freePort(),
      gossip: await freePair(),
      raft: await freePair(),
    });
  }
  const raftJoin = ports.map(({ raft }, node) => `node-${node}:${raft}`).join(',');
  const children: (ChildProcess | null)[] = ports.map(() => null);
  const start = (node: number): void => {
    const { httpPort, grpcPort, gossip, raft } = ports[node]!;
    const others = ports.filter((_, other) => other !== node && children[other] !== null);
    const data = join(folder, `node-${node}`);
    mkdirSync(data, { recursive: true });
    const log = openSync(join(folder, `node-${node}.log`), 'a');
    children[node] = spawn(binary, ['--scheme', 'http', '--host', '127.0.0.1', '--port', `${httpPort}`], {
      env: {
        PATH: process.env['PATH'],
        HOME: data,
        PERSISTENCE_DATA_PATH: data,
        AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED: 'true',
        DEFAULT_VECTORIZER_MODULE: 'none',
        DISABLE_TELEMETRY: 'true',
        AUTOSCHEMA_ENABLED: 'false',
        // As in deploy/kubernetes/components/weaviate, where it says why.
        COLLECTION_RETRIEVAL_STRATEGY: 'LocalOnly',
        GO_PROFILING_DISABLE: 'true',
        LOG_LEVEL: 'warning',
        GRPC_PORT: `${grpcPort}`,
        CLUSTER_IN_LOCALHOST: 'true',
        CLUSTER_HOSTNAME: `node-${node}`,
        CLUSTER_BIND_ADDR: '127.0.0.1',
        CLUSTER_ADVERTISE_ADDR: '127.0.0.1',
        CLUSTER_GOSSIP_BIND_PORT: `${gossip}`,
        CLUSTER_DATA_BIND_PORT: `${gossip + 1}`,
        ...(others.length === 0 ? {} : { CLUSTER_JOIN: others.map((one) => `127.0.0.1:${one.gossip}`).join(',') }),
        RAFT_PORT: `${raft}`,
        RAFT_INTERNAL_RPC_PORT: `${raft + 1}`,
        RAFT_JOIN: raftJoin,
        RAFT_BOOTSTRAP_EXPECT: `${count}`,
        ...settings,
      },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
  };
  const waitFor = async (node: number, what: string, there: () => Promise<boolean>): Promise<void> => {
    const end = Date.now() + startMs;
    while (!(await there())) {
      const { exitCode = null, signalCode = null } = children[node] ?? {};
      if (exitCode !== null || signalCode !== null || Date.now() > end) {
        throw new Error(`Weaviate's node ${node} ${what}: see ${join(folder, `node-${node}.log`)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const ready = (node: number): Promise<void> =>
    waitFor(node, 'is not ready', async () => {
      const url = `http://127.0.0.1:${ports[node]!.httpPort}/v1/.well-known/ready`;
      return fetch(url).then(
        ({ ok }) => ok,
        () => false,
      );
    });
  const end = async (node: number, signal: NodeJS.Signals): Promise<void> => {
    const child = children[node];
    children[node] = null;
    if (child === null || child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  };
  const stop = async (): Promise<void> => {
    await Promise.all(ports.map((_, node) => end(node, 'SIGKILL')));
  };

  try {
    start(0);
    // The others look for it once, when they start.
    await waitFor(0, 'does not gossip', () => listens(ports[0]!.gossip));
    for (let node = 1; node < count; node++) start(node);
    await Promise.all(ports.map((_, node) => ready(node)));
  } catch (thrown) {
    await stop();
    throw thrown;
  }
  return {
    addresses: ports.map(({ httpPort, grpcPort }) => `127.0.0.1:${httpPort}:${grpcPort}`).join(','),
    nodes: ports,
    kill: (node) => end(node, 'SIGKILL'),
    async restart(node) {
      start(node);
      await ready(node);
    },
    stop,
  };
}

/** A free port whose successor is free, too. */
async function freePair(): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (port < 65_535 && !(await listens(port + 1))) return port;
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const done = (answer: boolean) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', done(true));
    socket.once('error', done(false));
  });
}

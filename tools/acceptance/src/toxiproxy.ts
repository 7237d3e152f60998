// A TCP proxy that delays, cuts and resets: toxiproxy as a process, told what to do over its HTTP interface. Before it stands a
// relay of ours, which counts what it has cut: toxiproxy itself does not say.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '@kindred/testing';

/** A toxic, as toxiproxy names and takes them. */
export interface Toxic {
  readonly type: 'latency' | 'bandwidth' | 'timeout' | 'reset_peer' | 'slicer' | 'limit_data';
  /** `upstream`: towards the server. */
  readonly stream: 'upstream' | 'downstream';
  readonly attributes: Readonly<Record<string, number>>;
}

/** A proxy in front of one server. */
export interface Toxiproxy {
  readonly port: number;
  /** Connections that were ended from the server's side so far, before the client ended them. */
  cuts(): number;
  /** Connections that clients have opened so far. */
  opened(): number;
  /** Applies the toxic while `work` goes on. */
  during<T>(toxic: Toxic, work: () => Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

/** Starts the proxy in front of a port of this machine. */
export async function startToxiproxy(program: string, upstreamPort: number): Promise<Toxiproxy> {
  const [apiPort, listenPort] = [await freePort(), await freePort()];
  const child = spawn(program, ['-host', '127.0.0.1', '-port', String(apiPort)], { stdio: 'ignore' });
  process.once('exit', () => child.kill('SIGKILL'));
  const api = async (method: string, path: string, body?: object): Promise<void> => {
    const reply = await fetch(`http://127.0.0.1:${apiPort}${path}`, { method, body: JSON.stringify(body) });
    if (!reply.ok) throw new Error(`toxiproxy: ${method} ${path}: ${reply.status} ${await reply.text()}`);
  };
  while (!(await fetch(`http://127.0.0.1:${apiPort}/version`).catch(() => null))?.ok) await delay(50);
  const upstream = `127.0.0.1:${upstreamPort}`;
  await api('POST', '/proxies', { name: 'store', listen: `127.0.0.1:${listenPort}`, upstream, enabled: true });
  const relay = await startRelay(listenPort);
  return {
    port: relay.port,
    cuts: relay.cuts,
    opened: relay.opened,
    async during(toxic, work) {
      await api('POST', '/proxies/store/toxics', { ...toxic, name: 'toxic', toxicity: 1 });
      try {
        return await work();
      } finally {
        await api('DELETE', '/proxies/store/toxics/toxic');
      }
    },
    async stop() {
      relay.stop();
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Hands bytes, ends and resets on to a port and back, and counts the connections that the far side ends. */
async function startRelay(
  port: number,
): Promise<{ readonly port: number; cuts(): number; opened(): number; stop(): void }> {
  let [cuts, opened] = [0, 0];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    opened++;
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    }
    let clientEnded = false;
    client.once('end', () => (clientEnded = true));
    client.once('close', () => {
      clientEnded = true;
      upstream.destroy();
    });
    client.on('error', () => upstream.resetAndDestroy());
    upstream.on('error', () => {
      // Before the client's own end, which follows from this one.
      countCut();
      client.resetAndDestroy();
    });
    upstream.once('end', countCut);
    upstream.once('close', () => {
      countCut();
      client.destroySoon();
    });
    client.pipe(upstream);
    upstream.pipe(client);

    let counted = false;
    function countCut(): void {
      if (!clientEnded && !counted) cuts++;
      counted = true;
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cuts: () => cuts,
    opened: () => opened,
    stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

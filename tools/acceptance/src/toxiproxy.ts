// A TCP proxy that delays, cuts and resets: toxiproxy as a process, told what to do over its HTTP interface.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
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
  /** Applies the toxic while `work` goes on. */
  during<T>(toxic: Toxic, work: () => Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

/** Starts the proxy in front of a port of this machine. */
export async function startToxiproxy(program: string, upstreamPort: number): Promise<Toxiproxy> {
  const [apiPort, port] = [await freePort(), await freePort()];
  const child = spawn(program, ['-host', '127.0.0.1', '-port', String(apiPort)], { stdio: 'ignore' });
  process.once('exit', () => child.kill('SIGKILL'));
  const api = async (method: string, path: string, body?: object): Promise<void> => {
    const reply = await fetch(`http://127.0.0.1:${apiPort}${path}`, { method, body: JSON.stringify(body) });
    if (!reply.ok) throw new Error(`toxiproxy: ${method} ${path}: ${reply.status} ${await reply.text()}`);
  };
  while (!(await fetch(`http://127.0.0.1:${apiPort}/version`).catch(() => null))?.ok) await delay(50);
  const upstream = `127.0.0.1:${upstreamPort}`;
  await api('POST', '/proxies', { name: 'store', listen: `127.0.0.1:${port}`, upstream, enabled: true });
  return {
    port,
    async during(toxic, work) {
      await api('POST', '/proxies/store/toxics', { ...toxic, name: 'toxic', toxicity: 1 });
      try {
        return await work();
      } finally {
        await api('DELETE', '/proxies/store/toxics/toxic');
      }
    },
    async stop() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

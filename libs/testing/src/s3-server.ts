// Real S3 servers for tests: on a free port of this machine, with a folder of their own, ended by their process id.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Servers that can be started; both keep a bucket as a folder. */
export type S3ServerKind = 'minio' | 'versitygw';

/** What a server is started with. */
export interface S3ServerOptions {
  readonly kind: S3ServerKind;
  /** Path of its program. */
  readonly program: string;
  /** Its data; buckets are folders in it. */
  readonly folder: string;
  /** @default a free one */
  readonly port?: number;
  /** Folder with `public.crt` and `private.key`: the server speaks TLS. @default null */
  readonly certificates?: string | null;
  /** More of its environment. @default none */
  readonly environment?: NodeJS.ProcessEnv;
}

/** A server that runs. */
export interface S3Server {
  readonly endpoint: string;
  readonly port: number;
  readonly folder: string;
  /** The variables by which clients find their credentials. */
  readonly credentials: Readonly<Record<'AWS_ACCESS_KEY_ID' | 'AWS_SECRET_ACCESS_KEY', string>>;
  pid(): number;
  makeBucket(name: string): void;
  /** Ends it at once (SIGKILL), or lets it end. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Starts it again, on the same port and folder. */
  start(): Promise<void>;
}

const accessKey = 'kindred-test';
const secretKey = 'kindred-test-secret';
const startMs = 60_000;

/** Starts a server and waits until it answers. */
export async function startS3Server(options: S3ServerOptions): Promise<S3Server> {
  const { kind, program, folder, certificates = null, environment = {} } = options;
  const port = options.port ?? (await freePort());
  const address = `127.0.0.1:${port}`;
  const endpoint = `${certificates === null ? 'http' : 'https'}://${address}`;
  mkdirSync(folder, { recursive: true });
  let child: ChildProcess | null = null;
  const endWithParent = (): void => void child?.kill('SIGKILL');
  const stop = async (signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> => {
    const ending = child;
    if (ending === null || ending.exitCode !== null || ending.signalCode !== null) return;
    const ended = new Promise((resolve) => ending.once('exit', resolve));
    ending.kill(signal);
    await ended;
  };
  const server: S3Server = {
    endpoint,
    port,
    folder,
    credentials: { AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey },
    pid: () => child?.pid ?? 0,
    makeBucket: (name) => void mkdirSync(join(folder, name), { recursive: true }),
    async stop(signal) {
      process.removeListener('exit', endWithParent);
      await stop(signal);
    },
    async start() {
      process.once('exit', endWithParent);
      child = spawn(program, argumentsOf(kind, address, folder, certificates), {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, MINIO_ROOT_USER: accessKey, MINIO_ROOT_PASSWORD: secretKey, ...quiet, ...environment },
      });
      let said = '';
      child.stderr?.on('data', (part: Buffer) => (said = (said + part.toString()).slice(-4000)));
      const isUp = kind === 'minio' ? `http://${address}/minio/health/ready` : `http://${address}/`;
      for (const began = Date.now(); ; await delay(50)) {
        if (child.exitCode !== null || Date.now() - began > startMs) {
          await stop('SIGKILL');
          throw new Error(`${kind} did not start at ${address}: ${said}`);
        }
        const reply = await fetch(isUp).catch(() => null);
        // Through TLS only that it answers is seen: its certificate is one of a test.
        if (reply !== null && (kind === 'versitygw' || reply.ok || certificates !== null)) return;
      }
    },
  };
  await server.start();
  return server;
}

const quiet = { MINIO_BROWSER: 'off', MINIO_UPDATE: 'off', MINIO_CALLHOME_ENABLE: 'off' };

function argumentsOf(kind: S3ServerKind, address: string, folder: string, certificates: string | null): string[] {
  if (kind === 'minio') {
    const tls = certificates === null ? [] : ['--certs-dir', certificates];
    return ['server', '--quiet', ...tls, '--address', address, folder];
  }
  const keys = ['--access', accessKey, '--secret', secretKey];
  const tls =
    certificates === null
      ? []
      : ['--cert', join(certificates, 'public.crt'), '--key', join(certificates, 'private.key')];
  return [...keys, ...tls, '--port', address, '--quiet', '--keep-alive', 'posix', folder];
}

/** A port that nobody listens on now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

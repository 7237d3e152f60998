// The artifact store `minio`: a server on this machine with its data in the data folder, for as long as the services run.
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KindredError } from '@kindred/errors';
import { provisionGo } from '@kindred/setup/go-programs';
import { forkProcess, workerEntry } from '@kindred/workers';
import { endOf } from './child.js';
import type { DataFolder } from './data-folder.js';
import { logTail } from './log-tail.js';
import type { MinioCommand } from './minio.worker.js';

/** A MinIO that runs. */
export interface MinioServer {
  /** The store's address; it names the file of the credentials. */
  readonly store: string;
  /** Ends it, and returns when it is gone. Idempotent. */
  stop(): Promise<void>;
  /** Ends it without waiting. */
  kill(): void;
}

const bucket = 'kindred';
const startMs = 60_000;
const endMs = 15_000;
const restartMs = 1_000;
const lastLines = 12;

/**
 * Starts the server on a free port of this machine, and again whenever it dies; it is built first where this machine has
 * none yet (minutes). Its keys are drawn once and lie in `DATA/minio/credentials`, readable by this user alone.
 * @throws KindredError UNAVAILABLE with its last log lines when it does not start.
 */
export async function startMinio(folder: DataFolder, say: (words: string) => void): Promise<MinioServer> {
  const program = await provisionGo('minio', { progress: say });
  const data = join(folder.minio, 'data');
  // A bucket is a folder of the server's.
  await mkdir(join(data, bucket), { recursive: true });
  const credentials = join(folder.minio, 'credentials');
  const environment = { ...(await keysIn(credentials)), MINIO_BROWSER: 'off', MINIO_UPDATE: 'off' };
  const address = `127.0.0.1:${await freePort()}`;
  const command: MinioCommand = { program, args: ['server', '--quiet', '--address', address, data], environment };
  const logFile = folder.logFile('minio');
  let stopping = false;
  let child = launch(command, logFile);

  const untilReady = async (): Promise<void> => {
    for (const began = Date.now(); ; await delay(100)) {
      const reply = await fetch(`http://${address}/minio/health/ready`).catch(() => null);
      if (reply?.ok === true) return;
      if (child.exitCode === null && child.signalCode === null && Date.now() - began < startMs) continue;
      child.kill('SIGTERM');
      const said = (await logTail(logFile, 0, lastLines)).join('\n');
      throw new KindredError('UNAVAILABLE', `minio did not start; log: ${logFile}\n${said}`);
    }
  };
  const keepRunning = async (): Promise<void> => {
    for (;;) {
      const reason = await endOf(child);
      if (stopping) return;
      say(`minio ended (${reason}); it is started again`);
      await delay(restartMs);
      if (stopping) return;
      child = launch(command, logFile);
    }
  };

  await untilReady();
  const kept = keepRunning();
  return {
    store: `s3://${bucket}?${new URLSearchParams({ endpoint: `http://${address}`, credentials })}`,
    async stop() {
      stopping = true;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), endMs);
      await kept;
      clearTimeout(timer);
    },
    kill() {
      stopping = true;
      child.kill('SIGTERM');
    },
  };
}

function launch(command: MinioCommand, logFile: string): ChildProcess {
  const log = openSync(logFile, 'a');
  try {
    // Like the services, it is in a session of its own: Ctrl-C reaches the command alone.
    const child = forkProcess(workerEntry(import.meta.url, 'minio'), {
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
    });
    child.send(command);
    return child;
  } finally {
    closeSync(log);
  }
}

/**
 * The server's keys as its environment; drawn where the file is not there yet. @throws KindredError FAILED_PRECONDITION
 * when it has none: the server would take well-known ones.
 */
async function keysIn(file: string): Promise<Record<string, string>> {
  if (!existsSync(file)) {
    const [key, secret] = [randomBytes(10), randomBytes(20)].map((bytes) => bytes.toString('hex'));
    const text = `[default]\naws_access_key_id = ${key}\naws_secret_access_key = ${secret}\n`;
    await writeFile(file, text, { mode: 0o600, flag: 'wx' });
  }
  const text = await readFile(file, 'utf8');
  const value = (name: string): string => new RegExp(`^${name} *= *(\\S+)$`, 'm').exec(text)?.[1] ?? '';
  const [key, secret] = [value('aws_access_key_id'), value('aws_secret_access_key')];
  if (key !== '' && secret !== '') return { MINIO_ROOT_USER: key, MINIO_ROOT_PASSWORD: secret };
  throw new KindredError(
    'FAILED_PRECONDITION',
    `${file} has not both aws_access_key_id and aws_secret_access_key; put it back from a copy, or delete it to draw new keys`,
    { resource: { type: 'file', name: file } },
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

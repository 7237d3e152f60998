import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:https';
import { connect, createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import {
  fillDisk,
  freePort,
  goProgram,
  smallDisk,
  startS3Server,
  temporaryFolder,
  type S3Server,
} from '@kindred/testing';
import { createCertificateAuthority } from '@kindred/testing/certificates';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { openStore, parseStoreLocation, type S3Location } from './index.js';
import { connectS3 } from './s3-connection.js';

const program = await goProgram('minio');
const patienceMs = 400;

async function faultOf(work: Promise<unknown>): Promise<{ code: string; message: string; resource: unknown }> {
  const thrown: unknown = await work.then(
    () => new Error('nothing was thrown'),
    (error: unknown) => error,
  );
  return thrown as { code: string; message: string; resource: unknown };
}

describe.skipIf(program === null)('what keeps an S3 store from being used', () => {
  const folder = temporaryFolder();
  let server: S3Server;
  const others: Server[] = [];
  beforeAll(async () => {
    server = await startS3Server({
      kind: 'minio',
      program: program ?? '',
      folder: join(folder, 'data'),
      environment: { MINIO_KMS_SECRET_KEY: `k:${Buffer.alloc(32, 1).toString('base64')}` },
    });
    server.makeBucket('artifacts');
  }, 120_000);
  afterEach(() => vi.useRealTimers());
  afterAll(async () => {
    for (const other of others) other.close();
    await server?.stop('SIGKILL');
  });
  const open = (environment: NodeJS.ProcessEnv = server.credentials, bucket = 'artifacts', more = '') =>
    openStore(`s3://${bucket}?endpoint=${server.endpoint}${more}`, { environment, patienceMs });
  const listening = async (started: Server): Promise<number> => {
    others.push(started);
    await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve));
    return (started.address() as AddressInfo).port;
  };
  const place = (): string => `bucket 'artifacts' at ${server.endpoint}`;

  it('is named: wrong and absent credentials', async () => {
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = server.credentials;
    for (const [environment, reason] of [
      [{ AWS_ACCESS_KEY_ID: 'nobody', AWS_SECRET_ACCESS_KEY: 'top-secret' }, 'access key is not known'],
      [{ AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: 'top-secret' }, 'secret key is not the one'],
      [{ AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN: 'top-secret' }, 'session token is not valid'],
    ] as const) {
      const { code, message, resource } = await faultOf(open(environment));
      expect({ code, resource }).toEqual({
        code: 'PERMISSION_DENIED',
        resource: { type: 'bucket', name: 'artifacts' },
      });
      expect(message).toContain(place());
      expect(message).toContain(reason);
      expect(message).not.toMatch(/top-secret/);
    }
    const absent = await faultOf(open({ HOME: folder, AWS_ACCESS_KEY_ID: 'x' }));
    expect(absent).toMatchObject({ code: 'FAILED_PRECONDITION', message: expect.stringContaining('only one of') });
  });

  it('is named: a missing bucket', async () => {
    const { code, message } = await faultOf(open(server.credentials, 'nothing-here'));
    expect(code).toBe('FAILED_PRECONDITION');
    expect(message).toContain(`bucket 'nothing-here' at ${server.endpoint}: the bucket does not exist`);
  });

  it("is named: a clock that is not the server's", async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
    const { code, message } = await faultOf(open());
    expect(code).toBe('FAILED_PRECONDITION');
    expect(message).toContain(place());
    expect(message).toMatch(/clock is 3[56]\d\d s ahead of the server's/);
  });

  it('is named: certificates that have expired, are for other hosts, or are not trusted', async () => {
    const authority = await createCertificateAuthority(join(folder, 'authority'));
    const expired = await authority.issue('expired', undefined, new Date(Date.now() - 1000));
    const other = await authority.issue('other', ['example.org']);
    const good = await authority.issue('good');
    for (const [{ certFile, keyFile }, ca, reason] of [
      [expired, `&ca=${authority.caFile}`, 'has expired'],
      [other, `&ca=${authority.caFile}`, 'is for another host name'],
      [good, '', 'is not trusted'],
    ] as const) {
      const port = await listening(createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) }));
      const address = `s3://artifacts?endpoint=https://127.0.0.1:${port}${ca}`;
      const { code, message } = await faultOf(openStore(address, { environment: server.credentials, patienceMs }));
      expect(code).toBe('FAILED_PRECONDITION');
      expect(message).toContain(`bucket 'artifacts' at https://127.0.0.1:${port}: the server's certificate ${reason}`);
    }
    const unread = await faultOf(
      openStore('s3://artifacts?endpoint=https://127.0.0.1:1&ca=/nothing', { environment: server.credentials }),
    );
    expect(unread).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining("got '/nothing'") });
  });

  it('is none behind TLS with an authority of its own', async () => {
    const authority = await createCertificateAuthority(join(folder, 'authority-of-minio'));
    const { certFile, keyFile } = await authority.issue('minio');
    const certificates = join(folder, 'certificates');
    mkdirSync(certificates);
    copyFileSync(certFile, join(certificates, 'public.crt'));
    copyFileSync(keyFile, join(certificates, 'private.key'));
    const secure = await startS3Server({
      kind: 'minio',
      program: program ?? '',
      folder: join(folder, 'tls'),
      certificates,
    });
    try {
      secure.makeBucket('artifacts');
      const address = `s3://artifacts?endpoint=${secure.endpoint}&ca=${authority.caFile}`;
      const store = await openStore(address, { environment: secure.credentials });
      const { sha256 } = await store.put('k', [new Uint8Array(9_000_000).fill(1)]);
      expect((await store.get('k', sha256)).length).toBe(9_000_000);
    } finally {
      await secure.stop('SIGKILL');
    }
  });

  it('is named: a full disk, with the old object whole', async () => {
    const disk = smallDisk(join(folder, 'disk'), 96 << 20);
    const small = await startS3Server({ kind: 'minio', program: program ?? '', folder: disk.folder });
    try {
      small.makeBucket('artifacts');
      const address = `s3://artifacts?endpoint=${small.endpoint}`;
      const store = await openStore(address, { environment: small.credentials, patienceMs });
      const { sha256 } = await store.put('k', new Uint8Array(100_000).fill(1));
      const filled = fillDisk(disk, [small.pid()]);
      for (const size of [200_000, 20_000_000]) {
        const { code, message, resource } = await faultOf(store.put('k', [new Uint8Array(size)]));
        expect(message).toContain(`bucket 'artifacts' at ${small.endpoint}: there is no space left`);
        expect({ code, resource }).toEqual({
          code: 'RESOURCE_EXHAUSTED',
          resource: { type: 'bucket', name: 'artifacts' },
        });
      }
      expect((await store.get('k', sha256)).length).toBe(100_000);
      filled.remove();
    } finally {
      await small.stop('SIGKILL');
      disk.remove();
    }
  });

  it('is named: nobody listens, a server that stays silent, one that is ill', async () => {
    const silent = await listening(createHttpServer(() => {}));
    const ill = await listening(createHttpServer((_, response) => response.writeHead(503).end()));
    for (const [port, reason] of [
      [await freePort(), 'ECONNREFUSED'],
      [silent, 'no progress for 1 s'],
      [ill, 'HTTP 503'],
    ] as const) {
      const notices: string[] = [];
      const address = `s3://artifacts?endpoint=http://127.0.0.1:${port}&idle-seconds=1`;
      const options = {
        environment: server.credentials,
        patienceMs: 3_000,
        onNotice: (text: string) => notices.push(text),
      };
      const { code, message } = await faultOf(openStore(address, options));
      expect(code).toBe('UNAVAILABLE');
      expect(message).toContain(`bucket 'artifacts' at http://127.0.0.1:${port}`);
      expect(message).toContain(reason);
      expect(notices).toEqual([expect.stringMatching(/^waiting for the artifact store, 3 s at most/)]);
    }
  });

  it('goes over: connections that are reset, at any byte of puts and gets', async () => {
    let connections = 0;
    let cuts = 0;
    // Two of three connections break, the first ones within a part.
    const budget = (): number => (++connections % 3 === 0 ? Infinity : 1_000_003 * (connections % 23));
    const port = await listening(createCutter(server.port, budget, () => cuts++));
    const address = `s3://artifacts/cut?endpoint=http://127.0.0.1:${port}&part-mib=5`;
    const store = await openStore(address, { environment: server.credentials, patienceMs: 60_000 });
    const bytes = new Uint8Array(23_000_000).map((_, index) => index % 251);
    const { sha256 } = await store.put('streamed', [bytes]);
    await store.put('whole', bytes.subarray(0, 5_000_000), { ifAbsent: true });
    expect(Buffer.from(await store.get('streamed', sha256)).equals(bytes)).toBe(true);
    expect((await store.describe('streamed'))?.sha256).toBe(sha256);
    expect(cuts).toBeGreaterThan(1);
  });

  it('encrypts at the server where asked', async () => {
    const store = await open(server.credentials, 'artifacts', '&sse=s3&part-mib=5');
    for (const content of [new Uint8Array(10), [new Uint8Array(11_000_000)]]) {
      const { sha256 } = await store.put('secret', content);
      expect((await store.describe('secret'))?.sha256).toBe(sha256);
      expect(readFileSync(join(server.folder, 'artifacts', 'secret', 'xl.meta')).toString('latin1')).toContain(
        'X-Minio-Internal-Server-Side-Encryption',
      );
    }
  });

  it("encrypts with a key of the server's key service where asked, and names a key that is not there", async () => {
    const location = parseStoreLocation(`s3://artifacts?endpoint=${server.endpoint}`, {}) as S3Location;
    const { AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey } = server.credentials;
    const credentials = { current: () => Promise.resolve({ accessKey, secretKey }), renew: () => false };
    const connection = connectS3(location, credentials, { patienceMs, onNotice: () => {} });
    const store = await open(server.credentials, 'artifacts', '&sse=kms:k&part-mib=5');
    for (const content of [new Uint8Array(10).fill(1), [new Uint8Array(11_000_000).fill(1)]]) {
      const { sha256, etag } = await store.put('by-kms', content, {});
      expect(await store.describe('by-kms')).toMatchObject({ sha256, etag });
      expect((await store.get('by-kms', sha256)).every((byte) => byte === 1)).toBe(true);
      // What the server says of the object, and what lies on its disk: sealed, in place of ones.
      const { headers } = await connection.call({ method: 'HEAD', key: 'by-kms', expected: [200] });
      expect(headers['x-amz-server-side-encryption']).toBe('aws:kms');
      expect(headers['x-amz-server-side-encryption-aws-kms-key-id']).toBe('arn:aws:kms:k');
      const onDisk = readdirSync(join(server.folder, 'artifacts', 'by-kms'), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name)));
      expect(Buffer.concat(onDisk).includes(Buffer.alloc(10, 1))).toBe(false);
    }
    const wrong = await open(server.credentials, 'artifacts', '&sse=kms:nobody');
    const { message } = await faultOf(wrong.put('k', new Uint8Array(10)));
    expect(message).toContain(place());
  });

  it('reads credentials from a file, again when it changes', async () => {
    const file = join(folder, 'credentials');
    const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = server.credentials;
    const write = (key: string): void =>
      writeFileSync(file, `[default]\naws_access_key_id = ${id}\naws_secret_access_key = ${key}\n`);
    write(secret);
    const store = await open({ AWS_SHARED_CREDENTIALS_FILE: file });
    await store.put('k', new Uint8Array(1));
    write('another-secret');
    await expect(store.get('k')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    write(secret);
    expect((await store.get('k')).length).toBe(1);
  });
});

/** A proxy that resets each connection after some bytes; `onCut` hears of each time. */
function createCutter(port: number, nextBudget: () => number, onCut: () => void): Server {
  return createTcpServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    let left = nextBudget();
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('data', (part: Buffer) => {
        left -= part.length;
        if (left >= 0) {
          if (!to.write(part)) from.pause();
          return;
        }
        if (!client.destroyed) onCut();
        client.resetAndDestroy();
        upstream.destroy();
      });
      to.on('drain', () => from.resume());
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
  });
}

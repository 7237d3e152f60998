import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectS3, type S3Connection } from './s3-connection.js';
import { parseStoreLocation, type S3Location } from './store-location.js';

/** 8 MiB, no two blocks of which are the same. */
const long = Buffer.alloc(8 * 2 ** 20);
for (let at = 0; at < long.length; at += 4) long.writeUInt32LE(at, at);

describe('a connection', () => {
  let server: Server;
  let connection: S3Connection;
  beforeAll(async () => {
    server = createServer(({ url = '' }, response) =>
      response.end(url.includes('long') ? long : Buffer.alloc(100_000)),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const location = parseStoreLocation(`s3://artifacts?endpoint=http://127.0.0.1:${port}`, {}) as S3Location;
    const keys = { accessKey: 'key', secretKey: 'secret' };
    const credentials = { current: () => Promise.resolve(keys), renew: () => false };
    connection = connectS3(location, credentials, { patienceMs: 0, onNotice: () => {} });
  });
  afterAll(() => void server.close());

  it('keeps no reply once it was given', async () => {
    setFlagsFromString('--expose_gc');
    const collect = runInNewContext('gc') as () => void;
    const replies: WeakRef<Buffer>[] = [];
    const call = async (): Promise<void> => {
      const { body } = await connection.call({ method: 'GET', key: 'k', expected: [200] });
      expect(body.length).toBe(100_000);
      replies.push(new WeakRef(body));
    };
    for (let i = 0; i < 20; i++) await call();
    const kept = (): number => replies.filter((reply) => reply.deref() !== undefined).length;
    for (let i = 0; i < 50 && kept() > 2; i++) {
      await turn();
      collect();
    }
    // The last ones may still hang on the sockets and the stack.
    expect(kept()).toBeLessThanOrEqual(2);
  });

  it('gives parts that stay as they are when more is read', async () => {
    const response = await connection.open({ method: 'GET', key: 'long', expected: [200] });
    const parts: Uint8Array[] = [];
    for await (const part of response as AsyncIterable<Uint8Array>) parts.push(part);
    expect(Buffer.concat(parts).equals(long)).toBe(true);
  });

  it('waits with reading while nobody takes what came', async () => {
    const response = await connection.open({ method: 'GET', key: 'long', expected: [200] });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(response.readableLength).toBeLessThan(long.length / 2);
    expect(Buffer.concat(await response.toArray()).equals(long)).toBe(true);
  });
});

import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { goProgram, startS3Server, temporaryFolder, type S3Server, type S3ServerKind } from '@kindred/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore, parseStoreLocation, type S3Location } from './index.js';
import { connectS3 } from './s3-connection.js';
import { collect, itConforms } from './store-conformance.js';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

const kinds: readonly S3ServerKind[] = ['minio', 'versitygw'];
const programs = await Promise.all(kinds.map(async (kind) => ({ kind, program: await goProgram(kind) })));

for (const { kind, program } of programs) {
  describe.skipIf(program === null)(`S3 store on ${kind}`, () => {
    const folder = temporaryFolder();
    let server: S3Server;
    beforeAll(async () => {
      server = await startS3Server({ kind, program: program ?? '', folder: join(folder, 'data') });
      server.makeBucket('artifacts');
    }, 120_000);
    afterAll(() => server?.stop('SIGKILL'));
    const addressOf = (path: string): string => `s3://artifacts/${path}?endpoint=${server.endpoint}&part-mib=5`;
    const open = (path: string) => openStore(addressOf(path), { environment: server.credentials });

    itConforms(async () => {
      const path = randomUUID();
      return { store: await open(path), reopen: () => open(path) };
    });

    it('keeps the hash of what it wrote, and sees damage by it', async () => {
      const store = await open(randomUUID());
      const small = await store.put('small', text('abc'));
      const streamed = await store.put('streamed', [new Uint8Array(6_000_000).fill(1), new Uint8Array(6_000_000)]);
      expect((await store.describe('small'))?.sha256).toBe(small.sha256);
      expect((await store.describe('streamed'))?.sha256).toBe(streamed.sha256);
      expect((await collect(store.read('streamed'))).length).toBe(12_000_000);
    });

    // MinIO lists uploads by whole keys only, and ends them by itself after a day.
    it.runIf(kind === 'versitygw')(
      'ends uploads that were left, past the first page of them, and no others',
      async () => {
        const path = randomUUID();
        const location = parseStoreLocation(addressOf(path), {}) as S3Location;
        const { AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey } = server.credentials;
        const credentials = { current: () => Promise.resolve({ accessKey, secretKey }), renew: () => false };
        const connection = connectS3(location, credentials, { patienceMs: 0, onNotice: () => {} });
        const begin = (key: string) => connection.call({ method: 'POST', key, query: 'uploads=', expected: [200] });
        await begin('elsewhere');
        for (let batch = 0; batch < 1_020; batch += 20) {
          // Several of one key, too.
          await Promise.all(Array.from({ length: 20 }, (_, n) => begin(`${path}/k${Math.floor((batch + n) / 2)}`)));
        }
        const store = await open(path);
        expect(await store.removeUnfinished(60_000)).toBe(0);
        expect(await store.removeUnfinished(0, { dryRun: true })).toBe(1_020);
        expect(await store.removeUnfinished(0)).toBe(1_020);
        expect(await store.removeUnfinished(0)).toBe(0);
        const other = await openStore(addressOf('elsewhere'), { environment: server.credentials });
        expect(await other.removeUnfinished(0)).toBe(0);
      },
    );

    // MinIO keeps no plain files: a thousand objects would have to be put.
    it.runIf(kind === 'versitygw')('lists more than a page of objects that others have put', async () => {
      const path = randomUUID();
      const keys = Array.from({ length: 1_050 }, (_, n) => `k/${String(n).padStart(4, '0')}`);
      mkdirSync(join(server.folder, 'artifacts', path, 'k'), { recursive: true });
      for (const key of [...keys, 'k/no key']) writeFileSync(join(server.folder, 'artifacts', path, key), 'x');
      const store = await open(path);
      const found: string[] = [];
      for await (const { key } of store.list('k/')) found.push(key);
      expect(found).toEqual(keys);
    });
  });
}

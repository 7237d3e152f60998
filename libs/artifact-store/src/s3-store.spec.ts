import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { goProgram, startS3Server, temporaryFolder, type S3Server, type S3ServerKind } from '@kindred/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from './index.js';
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

// `kindred dataset fetch` against a server of our own.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startProgram } from './started-program.js';

let server: Server;
let archive: Buffer;
let url = '';
beforeAll(async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'cifar-10-batches-bin'));
  writeFileSync(join(folder, 'cifar-10-batches-bin/test_batch.bin'), Buffer.alloc(3073 * 4));
  execFileSync('tar', ['-czf', 'a.tar.gz', 'cifar-10-batches-bin'], { cwd: folder });
  archive = readFileSync(join(folder, 'a.tar.gz'));
  server = createServer((_, response) => response.writeHead(200, { 'content-length': archive.length }).end(archive));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.tar.gz`;
});
afterAll(() => server.close());

const fetched = (data: string, sha256: string) =>
  startProgram(
    ['--import', 'tsx', join(import.meta.dirname, 'main.ts')],
    ['--data', data, 'dataset', 'fetch', 'cifar-10', '--url', url, '--sha256', sha256],
  );

describe('dataset fetch', () => {
  it('puts the data set where the services look, and tells how far it is', async () => {
    const data = join(temporaryFolder(), 'data');
    const sha256 = createHash('sha256').update(archive).digest('hex');
    const job = fetched(data, sha256);
    expect(await job.exit, job.words()).toBe(0);
    const folder = join(data, 'datasets/cifar-10-batches-bin');
    expect(job.lines.at(-1)).toMatchObject({ event: 'summary', folder, alreadyPresent: false });
    expect(job.lines).toContainEqual({
      event: 'fetching',
      name: 'cifar-10',
      done: archive.length,
      total: archive.length,
    });
    expect(existsSync(join(folder, 'test_batch.bin'))).toBe(true);
    const again = fetched(data, sha256);
    expect(await again.exit).toBe(0);
    expect(again.lines.at(-1)).toMatchObject({ alreadyPresent: true });
  });

  it('ends with 4 on an archive that is not what it should be', async () => {
    const job = fetched(join(temporaryFolder(), 'data'), '0'.repeat(64));
    expect(await job.exit).toBe(4);
    expect(job.words()).toContain('sha256');
  });
});

// Fetching from a local server: cut connections, resumed parts, changed files, wrong checksums, hostile archives.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { create } from 'tar';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fetchDataset } from './index.js';

const home = temporaryFolder('fetch');
let archive: Buffer;
let md5: string;
let url: string;
let requests: IncomingMessage[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;

/** A server that knows ranges, unless told otherwise, and breaks off after `cutAfter` bytes. */
function serve({ etag = '"one"', ranges = true, cutAfter = Infinity } = {}): typeof answer {
  return ({ headers }, response) => {
    const asked = ranges && (headers['if-range'] ?? etag) === etag ? /bytes=(\d+)-/.exec(headers.range ?? '') : null;
    const from = Number(asked?.[1] ?? 0);
    const body = archive.subarray(from);
    response.writeHead(asked ? 206 : 200, {
      'content-length': body.length,
      etag,
      ...(asked ? { 'content-range': `bytes ${from}-${archive.length - 1}/${archive.length}` } : {}),
    });
    if (body.length <= cutAfter) return void response.end(body);
    response.write(body.subarray(0, cutAfter), () => setTimeout(() => response.destroy(), 100));
  };
}

const server = createServer((request, response) => {
  requests.push(request);
  answer(request, response);
});

async function pack(name: string, fill: (folder: string) => void): Promise<Buffer> {
  const folder = join(home, name);
  mkdirSync(join(folder, 'cifar-10-batches-bin'), { recursive: true });
  fill(join(folder, 'cifar-10-batches-bin'));
  await create({ gzip: true, file: `${folder}.tgz`, cwd: folder }, ['cifar-10-batches-bin']);
  return readFileSync(`${folder}.tgz`);
}

const hashOf = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');
const fetchInto = (root: string, more: object = {}) =>
  fetchDataset('cifar-10', { root, url, md5, retryDelayMs: 1, ...more });

beforeAll(async () => {
  archive = await pack('sound', (folder) => writeFileSync(join(folder, 'data_batch_1.bin'), randomBytes(200_000)));
  md5 = hashOf(archive);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/cifar.tar.gz`;
});
beforeEach(() => {
  requests = [];
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe('fetchDataset', () => {
  it('goes on where a cut connection ended, within one call', async () => {
    answer = serve({ cutAfter: 60_000 });
    const root = join(home, 'cut');
    const seen: number[] = [];
    const fetched = await fetchInto(root, {
      onProgress: ({ done, phase }: { done: number; phase: string }) => phase === 'download' && seen.push(done),
    });
    expect(readFileSync(join(fetched.folder, 'data_batch_1.bin')).length).toBe(200_000);
    expect(requests.length).toBeGreaterThan(2);
    expect(requests.at(-1)?.headers).toMatchObject({
      'if-range': '"one"',
      range: expect.stringMatching(/^bytes=[1-9]\d*-$/),
    });
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(readdirSync(root)).toEqual(['cifar-10-batches-bin']);
    expect(await fetchInto(root)).toEqual({ ...fetched, alreadyPresent: true });
  });

  it.each([
    ['the server has another file by now', { etag: '"two"' }],
    ['the server ignores ranges', { ranges: false }],
  ])('starts again when %s', async (name, server) => {
    const root = join(home, name);
    answer = serve({ cutAfter: 50_000 });
    await expect(fetchInto(root, { attempts: 1 })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(existsSync(join(root, 'cifar-10-binary.tar.gz.part'))).toBe(true);
    answer = serve(server);
    await fetchInto(root);
    expect(requests.at(-1)?.headers.range).toBeDefined();
    expect(readdirSync(root)).toEqual(['cifar-10-batches-bin']);
  });

  it('says what it expected of an archive that is none, and of an address, whatever is there already', async () => {
    const root = join(home, 'expected');
    const text = Buffer.from('x'.repeat(2000));
    answer = (_, response) => void response.end(text);
    await expect(fetchInto(join(root, 'text'), { md5: hashOf(text) })).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringMatching(/cifar-10-binary\.tar\.gz.*expected a \.tar\.gz archive/),
    });
    mkdirSync(join(root, 'there', 'cifar-10-batches-bin'), { recursive: true });
    await expect(fetchInto(join(root, 'there'), { url: 'ftp://127.0.0.1/x' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'url' }],
    });
  });

  it('refuses a wrong checksum and says what it got', async () => {
    answer = serve();
    const root = join(home, 'wrong');
    await expect(fetchInto(root, { md5: '0'.repeat(32) })).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining(md5),
    });
    await expect(fetchInto(root, { sha256: '0'.repeat(64) })).rejects.toMatchObject({ code: 'DATA_LOSS' });
    expect(readdirSync(root)).toEqual([]);
  });

  it('refuses an archive with a link in it, and one that is none', async () => {
    const good = archive;
    try {
      for (const bad of [
        await pack('linked', (folder) => symlinkSync('/etc', join(folder, 'link'))),
        randomBytes(1000),
      ]) {
        archive = bad;
        answer = serve();
        const root = join(home, `bad-${bad.length}`);
        await expect(fetchInto(root, { md5: hashOf(bad) })).rejects.toMatchObject({ code: 'DATA_LOSS' });
        expect(readdirSync(root)).toEqual([]);
      }
    } finally {
      archive = good;
    }
  });

  it('tells a missing file, a dead server, an unknown name and a cancelled call apart', async () => {
    const root = join(home, 'errors');
    answer = (_request, response) => void response.writeHead(404).end();
    await expect(fetchInto(root)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(requests).toHaveLength(1);
    answer = (_request, response) => void response.writeHead(503).end();
    await expect(fetchInto(root, { attempts: 2 })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(fetchDataset('mnist', { root })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('cifar-10'),
    });
    answer = () => {};
    await expect(fetchInto(root, { attempts: 1, idleTimeoutMs: 50 })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(fetchInto(root, { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

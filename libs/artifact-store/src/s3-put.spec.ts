import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { openStore, type ArtifactStore } from './index.js';

/** What a server says to completions, one after the other, and to the tags. */
interface Script {
  readonly completions: readonly string[];
  readonly tagStatus: number;
  /** What it says to the beginning. @default 200 */
  readonly beginStatus?: number;
}

const done = '<CompleteMultipartUploadResult><ETag>"whole-1"</ETag></CompleteMultipartUploadResult>';
const failed = '<Error><Code>InternalError</Code><Message>We encountered an internal error</Message></Error>';
const denied = '<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>';
const content = new Uint8Array(6 << 20).fill(7);

// Real servers do not fail at will: what S3 documents of CompleteMultipartUpload is played here.
describe('a multipart upload', () => {
  let server: Server;
  afterEach(() => void server.close());
  const open = async (script: Script): Promise<{ store: ArtifactStore; heard: string[] }> => {
    const heard: string[] = [];
    const left = [...script.completions];
    const answer = ({ method, url = '' }: IncomingMessage): [number, string] => {
      const { searchParams: query } = new URL(url, 'http://host');
      if (query.has('list-type')) return [200, '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'];
      if (query.has('uploads')) {
        if (script.beginStatus !== undefined) return [script.beginStatus, denied];
        return [200, '<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>'];
      }
      if (query.has('tagging')) return [heard.push('tags') && script.tagStatus, ''];
      if (method === 'POST') return [200, (heard.push('completion') && left.shift()) || failed];
      if (method === 'DELETE') return [heard.push('abort') && 204, ''];
      return [method === 'HEAD' ? 404 : 200, ''];
    };
    server = createServer((request, response) => {
      void buffer(request).then(() => {
        const [status, body] = answer(request);
        response.writeHead(status, { etag: '"part"' }).end(body);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = `s3://artifacts?endpoint=http://127.0.0.1:${(server.address() as AddressInfo).port}&part-mib=5`;
    const environment = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };
    return { store: await openStore(address, { environment, patienceMs: 2_000 }), heard };
  };
  const sha256 = createHash('sha256').update(content).digest('hex');

  it('is completed again when the server fails late, within a 200', async () => {
    const { store, heard } = await open({ completions: [failed, done], tagStatus: 200 });
    expect(await store.put('k', [content])).toEqual({ sha256, size: content.length, etag: 'whole-1' });
    expect(heard).toEqual(['completion', 'completion', 'tags']);
  });

  it('is ended when the server fails for longer than the patience', async () => {
    const { store, heard } = await open({ completions: [], tagStatus: 200 });
    await expect(store.put('k', [content])).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('InternalError'),
    });
    expect(heard.at(-1)).toBe('abort');
  });

  it('that cannot begin ends its source', async () => {
    const { store } = await open({ completions: [done], tagStatus: 200, beginStatus: 403 });
    let ended = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        yield content;
        yield content;
      } finally {
        ended = true;
      }
    }
    await expect(store.put('k', source())).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(ended).toBe(true);
  });

  it('succeeds without a kept hash when its tags cannot be written', async () => {
    const { store, heard } = await open({ completions: [done], tagStatus: 503 });
    expect(await store.put('k', [content])).toEqual({ sha256, size: content.length, etag: 'whole-1' });
    expect(heard).toContain('tags');
    expect(heard).not.toContain('abort');
  });
});

// Reads of S3 objects: whole or in ranges, gone on with after a broken connection, checked against the kept hash.
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { KindredError, notFound } from '@kindred/errors';
import { XMLParser } from 'fast-xml-parser';
import type { ArtifactDescription, ReadOptions } from './artifact-store.js';
import { isRange, verified } from './content-hash.js';
import type { S3Connection, S3Reply } from './s3-connection.js';

/** Metadata of what Kindred has put: the put's own id, by which a repeated put knows its first try. */
export const putIdHeader = 'x-amz-meta-kindred-put';
/** SHA-256 of the content, where it was known before its first byte was sent. */
export const sha256Header = 'x-amz-meta-kindred-sha256';
/** Tags that carry the hash where it was known only at the end; they count for the put that they name. */
export const sha256Tag = 'kindred-sha256';
export const putIdTag = 'kindred-put';

/** Describes an object, with its hash where that is kept; null if absent. */
export async function describeObject(
  connection: S3Connection,
  object: string,
  key: string,
): Promise<(ArtifactDescription & { readonly putId: string | null }) | null> {
  const head = await connection.call({ method: 'HEAD', key: object, expected: [200, 404] });
  if (head.status === 404) return null;
  return {
    key,
    size: Number(head.headers['content-length'] ?? 0),
    modifyTime: new Date(head.headers['last-modified'] ?? 0),
    etag: etagOf(head.headers),
    sha256: await keptSha256(connection, object, head.headers),
    putId: one(head.headers[putIdHeader]),
  };
}

/** Reads an object or a range; a connection that breaks is followed by another from the byte after the last. */
export async function* readObject(
  connection: S3Connection,
  object: string,
  key: string,
  options: ReadOptions,
): AsyncGenerator<Uint8Array> {
  if (options.length === 0) return;
  const first = await openAt(connection, object, key, options, 0, null);
  if (first === null) return;
  const parts = readOn(connection, object, key, options, first);
  let expected = options.sha256 ?? null;
  if (expected === null && !isRange(options)) {
    expected = await keptSha256(connection, object, first.headers).catch((thrown: unknown) => {
      first.destroy();
      throw thrown;
    });
  }
  yield* expected === null ? parts : verified(parts, key, expected);
}

/** The hash that was kept with an object; null where there is none. */
async function keptSha256(
  connection: S3Connection,
  object: string,
  headers: S3Reply['headers'],
): Promise<string | null> {
  const inHeader = one(headers[sha256Header]);
  const putId = one(headers[putIdHeader]);
  if (inHeader !== null || putId === null) return inHeader;
  const { status, body } = await connection.call({
    method: 'GET',
    key: object,
    query: 'tagging=',
    // Without tags, without the right to read them, or on a server that knows none: no hash is kept.
    expected: [200, 400, 403, 404, 405, 501],
  });
  if (status !== 200) return null;
  const tags = tagsIn(body.toString());
  return tags.get(putIdTag) === putId ? (tags.get(sha256Tag) ?? null) : null;
}

async function* readOn(
  connection: S3Connection,
  object: string,
  key: string,
  options: ReadOptions,
  first: IncomingMessage,
): AsyncGenerator<Uint8Array> {
  const etag = etagOf(first.headers);
  let response: IncomingMessage | null = first;
  let received = 0;
  let attempt = 0;
  let since = Date.now();
  while (response !== null) {
    try {
      for await (const part of response as AsyncIterable<Uint8Array>) {
        received += part.length;
        attempt = 0;
        yield part;
        since = Date.now();
      }
      return;
    } catch (thrown) {
      await connection.pause(thrown, since, attempt++);
    } finally {
      response.destroy();
    }
    response =
      received >= (options.length ?? Infinity) ? null : await openAt(connection, object, key, options, received, etag);
  }
}

/** Opens an object `received` bytes after the read's first; null: nothing is left there. */
async function openAt(
  connection: S3Connection,
  object: string,
  key: string,
  { offset = 0, length = Infinity }: ReadOptions,
  received: number,
  etag: string | null,
): Promise<IncomingMessage | null> {
  const start = offset + received;
  const end = Number.isFinite(length) ? offset + length - 1 : '';
  const headers: Record<string, string> = {};
  if (start > 0 || end !== '') headers['range'] = `bytes=${start}-${end}`;
  if (etag !== null) headers['if-match'] = `"${etag}"`;
  const response = await connection.open({
    method: 'GET',
    key: object,
    headers,
    expected: [200, 206, 404, 412, 416],
  });
  const { statusCode } = response;
  if (statusCode === 200 || statusCode === 206) return response;
  const words = await text(response);
  if (statusCode === 416) return null;
  if (statusCode === 404)
    throw words.includes('NoSuchBucket') ? connection.fault({ code: 'NoSuchBucket' }, 404) : notFound('artifact', key);
  throw new KindredError('ABORTED', `artifact '${key}' was replaced while it was read; read it again`, {
    resource: { type: 'artifact', name: key },
  });
}

/** The etag of a reply, without its quotation marks. */
export function etagOf(headers: S3Reply['headers']): string {
  return (headers.etag ?? '').replace(/^(W\/)?"|"$/g, '');
}

function one(header: string | string[] | undefined): string | null {
  return (Array.isArray(header) ? header[0] : header) ?? null;
}

function tagsIn(xml: string): Map<string, string> {
  const parser = new XMLParser({ parseTagValue: false, isArray: (name) => name === 'Tag' });
  const { Tagging } = parser.parse(xml) as { Tagging?: { TagSet?: { Tag?: { Key: string; Value: string }[] } | '' } };
  const tags = Tagging?.TagSet === '' ? [] : (Tagging?.TagSet?.Tag ?? []);
  return new Map(tags.map(({ Key, Value }) => [Key, Value]));
}

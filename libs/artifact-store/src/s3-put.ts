// Puts of S3 objects: one call for small content, else a multipart upload whose completion makes it visible at once.
import { createHash, randomUUID } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { KindredError } from '@kindred/errors';
import { XMLParser } from 'fast-xml-parser';
import type { ArtifactContent, PutOptions, PutResult } from './artifact-store.js';
import { changed, exists } from './conflicts.js';
import { checkHash, sha256Of } from './content-hash.js';
import { describeObject, etagOf, putIdHeader, putIdTag, sha256Header, sha256Tag } from './s3-objects.js';
import type { S3Connection, S3Reply } from './s3-connection.js';
import { createPartPool, partsOf, partsOfBytes, type PartPool } from './parts.js';

/** One put: what is written where, and on which condition. */
interface Put {
  readonly connection: S3Connection;
  /** Whole key in the bucket. */
  readonly object: string;
  readonly key: string;
  readonly options: PutOptions;
  /** Names this put in the object's metadata: a repeat whose first try had succeeded unheard finds itself there. */
  readonly id: string;
}

interface UploadedPart {
  readonly number: number;
  readonly etag: string;
  readonly crc: string;
}

/**
 * Writes an object. Bytes are hashed first, so that their hash is a header; a stream is hashed on its way, and its hash
 * becomes tags after a multipart upload (none where the server has no tags).
 */
export async function putObject(
  connection: S3Connection,
  object: string,
  key: string,
  content: ArtifactContent,
  options: PutOptions,
): Promise<PutResult> {
  const put: Put = { connection, object, key, options, id: randomUUID() };
  // Bodies on their way are not thrown away for a condition that can be seen not to hold; the server judges it again.
  await checkBeforehand(put);
  return content instanceof Uint8Array ? putBytes(put, content) : putStream(put, content);
}

async function putBytes(put: Put, content: Uint8Array): Promise<PutResult> {
  const { partSize } = put.connection.location;
  const sha256 = sha256Of(content);
  if (put.options.sha256 !== undefined) checkHash(put.key, sha256, put.options.sha256);
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  if (bytes.length <= partSize) return putWhole(put, bytes, sha256);
  return putParts(put, partsOfBytes(bytes, partSize), createPartPool(), sha256);
}

async function putStream(put: Put, content: Exclude<ArtifactContent, Uint8Array>): Promise<PutResult> {
  const { partSize } = put.connection.location;
  const pool = createPartPool();
  const parts = partsOf(content, partSize, pool);
  try {
    const { value: first = Buffer.alloc(0) } = await parts.next();
    if (first.length < partSize) {
      const sha256 = sha256Of(first);
      if (put.options.sha256 !== undefined) checkHash(put.key, sha256, put.options.sha256);
      return await putWhole(put, first, sha256);
    }
    return await putParts(put, startingWith(first, parts), pool, put.options.sha256 ?? null);
  } finally {
    // Nobody has begun to read it where the upload could not begin: its source learns of the end here.
    await parts.return(undefined);
  }
}

async function putWhole(put: Put, body: Buffer, sha256: string): Promise<PutResult> {
  const reply = await put.connection.call({
    method: 'PUT',
    key: put.object,
    headers: { ...newObjectHeaders(put, sha256), ...condition(put.options), 'x-amz-checksum-crc32': crcOf(body) },
    body,
    expected: [200, 404, 409, 412],
  });
  const etag = await judged(put, reply);
  return { sha256, size: body.length, etag };
}

async function putParts(
  put: Put,
  parts: AsyncIterable<Buffer> | Iterable<Buffer>,
  pool: PartPool,
  known: string | null,
): Promise<PutResult> {
  const { connection, key, options } = put;
  const uploadId = await beginUpload(put, known);
  const hash = createHash('sha256');
  let size = 0;
  let etag: string;
  try {
    const uploaded = await inParallel(connection.location.parallelParts, parts, async (part, index) => {
      // Sent before it is hashed: the socket works meanwhile.
      const sending = uploadPart(put, uploadId, index + 1, part);
      hash.update(part);
      size += part.length;
      const sent = await sending;
      pool.give(part);
      return sent;
    });
    if (options.sha256 !== undefined) checkHash(key, hash.copy().digest('hex'), options.sha256);
    etag = await completeUpload(put, uploadId, uploaded);
  } catch (thrown) {
    await abortUpload(put, uploadId);
    throw thrown;
  }
  const sha256 = hash.digest('hex');
  if (known === null) await tag(put, sha256);
  return { sha256, size, etag };
}

async function beginUpload(put: Put, sha256: string | null): Promise<string> {
  const { body } = await put.connection.call({
    method: 'POST',
    key: put.object,
    query: 'uploads=',
    headers: { ...newObjectHeaders(put, sha256), 'x-amz-checksum-algorithm': 'CRC32' },
    expected: [200],
  });
  const { InitiateMultipartUploadResult: result } = parseXml(body) as {
    InitiateMultipartUploadResult?: { UploadId?: string };
  };
  if (result?.UploadId !== undefined) return result.UploadId;
  throw new KindredError('INTERNAL', `${put.connection.place} began a multipart upload without an id`);
}

async function uploadPart(put: Put, uploadId: string, number: number, body: Buffer): Promise<UploadedPart> {
  const crc = crcOf(body);
  const { headers } = await put.connection.call({
    method: 'PUT',
    key: put.object,
    query: `partNumber=${number}&uploadId=${encodeURIComponent(uploadId)}`,
    headers: { 'x-amz-checksum-crc32': crc },
    body,
    expected: [200],
  });
  return { number, etag: etagOf(headers), crc };
}

async function completeUpload(put: Put, uploadId: string, parts: readonly UploadedPart[]): Promise<string> {
  const list = parts.map(
    ({ number, etag, crc }) =>
      `<Part><PartNumber>${number}</PartNumber><ETag>"${etag}"</ETag><ChecksumCRC32>${crc}</ChecksumCRC32></Part>`,
  );
  const reply = await put.connection.call({
    method: 'POST',
    key: put.object,
    query: `uploadId=${encodeURIComponent(uploadId)}`,
    headers: { ...condition(put.options), 'content-type': 'application/xml' },
    body: `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${list.join('')}</CompleteMultipartUpload>`,
    expected: [200, 404, 409, 412],
    // A completion that fails late has status 200 and an error in its body; S3 asks for a repeat then.
    faultIn: ({ status, body }) => {
      const fault = status === 200 ? faultIn(body) : undefined;
      return fault === undefined ? null : errorOf(fault);
    },
  });
  return judged(put, reply);
}

/**
 * The new object's etag. A reply that says no may be the answer to a repeat whose first try went through unheard; the
 * object then names this very put.
 * @throws KindredError ALREADY_EXISTS or ABORTED when another writer was first.
 */
async function judged(put: Put, { status, headers, body }: S3Reply): Promise<string> {
  const { CompleteMultipartUploadResult: done } = parseXml(body) as {
    CompleteMultipartUploadResult?: { ETag?: string };
  };
  const fault = faultIn(body);
  if (status === 200 && fault === undefined) return etagOf({ etag: done?.ETag ?? headers.etag });
  const found = await describeObject(put.connection, put.object, put.key);
  if (found?.putId === put.id) return found.etag;
  if (status === 412 || status === 409) throw put.options.ifAbsent === true ? exists(put.key) : changed(put.key);
  if (status === 404 && put.options.ifMatch !== undefined && fault?.Code === 'NoSuchKey') throw changed(put.key);
  throw put.connection.fault(errorOf(fault ?? {}), status);
}

/** What a reply's body says went wrong. */
interface Fault {
  readonly Code?: string;
  readonly Message?: string;
}

function faultIn(body: Buffer): Fault | undefined {
  return (parseXml(body) as { Error?: Fault }).Error;
}

function errorOf({ Code = '', Message = '' }: Fault): Error {
  return Object.assign(new Error(Message), { code: Code });
}

/** Best effort: what is left is removed by the server's own rules, or by `removeUnfinished`. */
async function abortUpload({ connection, object }: Put, uploadId: string): Promise<void> {
  const query = `uploadId=${encodeURIComponent(uploadId)}`;
  await connection.call({ method: 'DELETE', key: object, query, expected: [200, 204, 404] }).catch(() => {});
}

/**
 * The hash of a stream is kept as tags that name the put. Best effort, since the object is there for all to see by now: a
 * crash or an error before they are written leaves it whole, without a kept hash.
 */
async function tag({ connection, object, id }: Put, sha256: string): Promise<void> {
  const tags = [
    [putIdTag, id],
    [sha256Tag, sha256],
  ].map(([name, value]) => `<Tag><Key>${name}</Key><Value>${value}</Value></Tag>`);
  const body = `<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet>${tags.join('')}</TagSet></Tagging>`;
  const headers = { 'content-type': 'application/xml', 'x-amz-checksum-crc32': crcOf(Buffer.from(body)) };
  const expected = [200, 204, 400, 403, 404, 405, 409, 501];
  await connection.call({ method: 'PUT', key: object, query: 'tagging=', headers, body, expected }).catch(() => {});
}

async function checkBeforehand({ connection, object, key, options }: Put): Promise<void> {
  if (options.ifAbsent !== true && options.ifMatch === undefined) return;
  const found = await describeObject(connection, object, key);
  if (options.ifAbsent === true && found !== null) throw exists(key);
  if (options.ifMatch !== undefined && found?.etag !== options.ifMatch) throw changed(key);
}

function condition({ ifAbsent, ifMatch }: PutOptions): Record<string, string> {
  if (ifAbsent === true) return { 'if-none-match': '*' };
  return ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` };
}

function newObjectHeaders({ id, connection }: Put, sha256: string | null): Record<string, string> {
  const { encryption } = connection.location;
  return {
    [putIdHeader]: id,
    ...(sha256 === null ? {} : { [sha256Header]: sha256 }),
    ...(encryption.kind === 'none'
      ? {}
      : { 'x-amz-server-side-encryption': encryption.kind === 's3' ? 'AES256' : 'aws:kms' }),
    ...(encryption.kind === 'kms' ? { 'x-amz-server-side-encryption-aws-kms-key-id': encryption.keyId } : {}),
  };
}

/** Runs `work` on each part, a bounded number at a time, in the order of the parts; the first error ends it. */
async function inParallel<T>(
  limit: number,
  parts: AsyncIterable<Buffer> | Iterable<Buffer>,
  work: (part: Buffer, index: number) => Promise<T>,
): Promise<T[]> {
  const results: Promise<T>[] = [];
  // A failed one stays in here, so that the next race throws its error.
  const running = new Set<Promise<T>>();
  try {
    for await (const part of parts) {
      const result = work(part, results.length);
      results.push(result);
      running.add(result);
      const done = (): void => void running.delete(result);
      result.then(done, () => {});
      if (running.size >= limit) await Promise.race(running);
    }
    return await Promise.all(results);
  } finally {
    // None may still write when the upload is ended.
    await Promise.allSettled(results);
  }
}

function crcOf(body: Buffer): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(body));
  return bytes.toString('base64');
}

function parseXml(body: Buffer): unknown {
  return body.length === 0 ? {} : new XMLParser({ parseTagValue: false, htmlEntities: true }).parse(body.toString());
}

async function* startingWith<T>(first: T, others: AsyncIterable<T>): AsyncGenerator<T> {
  yield first;
  yield* others;
}

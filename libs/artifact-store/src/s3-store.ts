// The artifact store in a bucket of an S3 server: MinIO, Amazon's, versitygw, or any other.
import { buffer } from 'node:stream/consumers';
import { KindredError, isKindredError } from '@kindred/errors';
import type { ArtifactDescription, ArtifactStore, ListOptions } from './artifact-store.js';
import { changed } from './conflicts.js';
import { endContent } from './content-end.js';
import { checkedPut, checkedRead } from './content-hash.js';
import { checkedKey } from './key.js';
import { connectS3, type S3Connection, type S3Patience } from './s3-connection.js';
import { findCredentials } from './s3-credentials.js';
import { describeObject, readObject } from './s3-objects.js';
import { putObject } from './s3-put.js';
import { abortUploads } from './s3-uploads.js';
import type { S3Location } from './store-location.js';

const pageSize = 1_000;

/**
 * Opens the store in a bucket, which must exist. Whatever S3 keeps for ETags are its etags; content hashes are kept in
 * each object's metadata or tags. A conditional delete asks first, and is as strict as the server is about `If-Match`.
 * @throws KindredError about endpoint and bucket: FAILED_PRECONDITION (no bucket, no credentials, clock, certificate),
 * PERMISSION_DENIED, UNAVAILABLE once patience is over.
 */
export async function createS3Store(
  location: S3Location,
  environment: Readonly<Record<string, string | undefined>>,
  patience: S3Patience,
): Promise<ArtifactStore> {
  const connection = connectS3(location, findCredentials(location, environment), patience);
  const objectOf = (key: string): string => location.prefix + checkedKey(key);
  const { place } = connection;
  // Says at once what is wrong with bucket, credentials, clock or certificate.
  await connection.list(location.prefix, '', 1);

  return {
    place: location.prefix === '' ? place : `${location.prefix} in ${place}`,
    async put(key, content, options) {
      try {
        return await putObject(connection, objectOf(key), key, content, checkedPut(options));
      } finally {
        endContent(content);
      }
    },
    async get(key, options) {
      const checked = checkedRead(options);
      return buffer(readObject(connection, objectOf(key), key, checked));
    },
    async *read(key, options) {
      yield* readObject(connection, objectOf(key), key, checkedRead(options));
    },
    async describe(key) {
      const found = await describeObject(connection, objectOf(key), key);
      if (found === null) return null;
      const { putId: _, ...description } = found;
      return description;
    },
    list: (prefix, options = {}) => listObjects(connection, prefix, options),
    async delete(key, { ifMatch } = {}) {
      const object = objectOf(key);
      const headers: Record<string, string> = ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` };
      if (ifMatch !== undefined) {
        const found = await describeObject(connection, object, key);
        if (found === null) return;
        if (found.etag !== ifMatch) throw changed(key);
      }
      const expected = [200, 204, 404, 409, 412];
      const { status } = await connection.call({ method: 'DELETE', key: object, headers, expected });
      if (status === 409 || status === 412) throw changed(key);
    },
    removeUnfinished: (olderThanMs, options) => abortUploads(connection, olderThanMs, options),
  };
}

async function* listObjects(
  connection: S3Connection,
  prefix: string,
  { startAfter = '', limit = Infinity }: ListOptions,
): AsyncGenerator<ArtifactDescription> {
  const own = connection.location.prefix;
  let after = startAfter === '' ? '' : own + startAfter;
  let left = limit;
  while (left > 0) {
    const { objects, isTruncated } = await connection.list(own + prefix, after, Math.min(pageSize, left));
    for (const { name, size, etag, lastModified } of objects) {
      const key = name.slice(own.length);
      // What others have put under names that are no keys cannot be read by key.
      if (!isKey(key)) continue;
      if (left-- <= 0) return;
      yield { key, size, etag, modifyTime: lastModified, sha256: null };
    }
    const last = objects.at(-1)?.name;
    if (!isTruncated || last === undefined) return;
    after = last;
  }
}

function isKey(key: string): boolean {
  try {
    checkedKey(key);
    return true;
  } catch (thrown) {
    if (thrown instanceof KindredError && isKindredError(thrown, 'INVALID_ARGUMENT')) return false;
    throw thrown;
  }
}

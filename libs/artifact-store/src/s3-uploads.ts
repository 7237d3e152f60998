// Multipart uploads that nobody has ended: found page by page, and aborted.
import { XMLParser } from 'fast-xml-parser';
import type { UnfinishedOptions } from './artifact-store.js';
import type { S3Connection } from './s3-connection.js';

/** The most uploads that S3 names in one reply. */
const pageSize = 1_000;

interface Upload {
  readonly Key: string;
  readonly UploadId: string;
  readonly Initiated: string;
}

/** Aborts the multipart uploads under the store's prefix that began long ago; answers how many there were. */
export async function abortUploads(
  connection: S3Connection,
  olderThanMs: number,
  { dryRun = false }: UnfinishedOptions = {},
): Promise<number> {
  const known = new Set<string>();
  for (;;) {
    const old: Upload[] = [];
    for await (const upload of listUploads(connection)) {
      if (Date.now() - Date.parse(upload.Initiated) < olderThanMs || known.has(upload.UploadId)) continue;
      known.add(upload.UploadId);
      old.push(upload);
    }
    if (dryRun || old.length === 0) return known.size;
    // After the whole list, since what is aborted on the way could move the pages that are still to come; then once more.
    for (const { Key, UploadId } of old) {
      const query = `uploadId=${encodeURIComponent(UploadId)}`;
      await connection.call({ method: 'DELETE', key: Key, query, expected: [200, 204, 404] });
    }
  }
}

async function* listUploads(connection: S3Connection): AsyncGenerator<Upload, void, undefined> {
  const parser = new XMLParser({ parseTagValue: false, isArray: (name) => name === 'Upload' });
  const prefix = encodeURIComponent(connection.location.prefix);
  let [keyMarker, uploadMarker] = ['', ''];
  for (;;) {
    const from = keyMarker === '' ? '' : `key-marker=${encodeURIComponent(keyMarker)}&`;
    const fromUpload = uploadMarker === '' ? '' : `upload-id-marker=${encodeURIComponent(uploadMarker)}&`;
    const query = `${from}max-uploads=${pageSize}&prefix=${prefix}&${fromUpload}uploads=`;
    const { status, body } = await connection.call({ method: 'GET', query, expected: [200, 400] });
    if (status === 400) {
      if (uploadMarker === '') throw connection.fault({ code: 'InvalidArgument', message: body.toString() }, status);
      // versitygw 1.8 takes no such marker, not even its own. Without it the list goes on with the next key.
      uploadMarker = '';
      continue;
    }
    const { ListMultipartUploadsResult: page } = parser.parse(body.toString()) as {
      ListMultipartUploadsResult?: {
        Upload?: Upload[];
        IsTruncated?: string;
        NextKeyMarker?: string;
        NextUploadIdMarker?: string;
      };
    };
    yield* page?.Upload ?? [];
    const last = page?.Upload?.at(-1);
    if (page?.IsTruncated !== 'true' || last === undefined) return;
    [keyMarker, uploadMarker] = [page.NextKeyMarker || last.Key, page.NextUploadIdMarker || last.UploadId];
  }
}

// Our side of the suite `artifacts`: one object to the store or back, to and from a file or nothing at all.
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { KindredError } from '@kindred/errors';
import { openStore } from '@kindred/artifact-store';
import { serveRounds } from './own-process.js';

/** What a round does. */
export interface StoredObjectOptions {
  readonly store: string;
  readonly credentials: Readonly<Record<string, string>>;
  /** `put` and `get` by a file; `put-made` puts content that is made on the way, `get-counted` counts what comes. */
  readonly work: 'put' | 'get' | 'put-made' | 'get-counted';
  readonly file: string;
}

const mebibyte = 2 ** 20;

serveRounds<StoredObjectOptions>(async ({ store: name, credentials, work, file }) => {
  const store = await openStore(name, { environment: credentials });
  const round = async (mebibytes: number): Promise<number> => {
    switch (work) {
      case 'put':
        return (await store.put('ours', createReadStream(file, { highWaterMark: mebibyte }))).size / mebibyte;
      case 'put-made':
        return (await store.put('made', blocks(mebibytes))).size / mebibyte;
      case 'get':
        await pipeline(store.read('ours'), createWriteStream(file, { highWaterMark: 4 * mebibyte }));
        return mebibytes;
      case 'get-counted': {
        let size = 0;
        for await (const part of store.read('made')) size += part.length;
        if (size === mebibytes * mebibyte) return mebibytes;
        throw new KindredError('DATA_LOSS', `got ${size} bytes, put were ${mebibytes * mebibyte}`);
      }
    }
  };
  return { versions: {}, round };
});

/** Blocks of a mebibyte, each with its number in it. */
function* blocks(count: number): Generator<Uint8Array> {
  for (let index = 0; index < count; index++) {
    const block = Buffer.alloc(mebibyte, index & 0xff);
    block.writeUInt32LE(index);
    yield block;
  }
}

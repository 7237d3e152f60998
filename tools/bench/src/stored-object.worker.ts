// Our side of the suite `artifacts`: one object to the store or back, to and from a file or nothing at all.
import { open } from 'node:fs/promises';
import { KindredError } from '@kindred/errors';
import { openStore, saveFile } from '@kindred/artifact-store';
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
const warmUps = 3;

serveRounds<StoredObjectOptions>(async ({ store: name, credentials, work, file }) => {
  const store = await openStore(name, { environment: credentials });
  const round = async (mebibytes: number): Promise<number> => {
    switch (work) {
      case 'put':
        return (await store.put('ours', blocksOf(file))).size / mebibyte;
      case 'put-made':
        return (await store.put('made', blocks(mebibytes))).size / mebibyte;
      case 'get':
        return (await saveFile(file, store.read('ours'))) / mebibyte;
      case 'get-counted': {
        let size = 0;
        for await (const part of store.read('made')) size += part.length;
        if (size === mebibytes * mebibyte) return mebibytes;
        throw new KindredError('DATA_LOSS', `got ${size} bytes, put were ${mebibytes * mebibyte}`);
      }
    }
  };
  // As the services have, which transfer more than one object in their lives; the compiler of JavaScript is done then.
  if (work === 'put' || work === 'get') for (let turn = 0; turn < warmUps; turn++) await round(0);
  return { versions: {}, round };
});

/** A file's blocks, the next of which is read while one is used; two blocks of memory take turns. */
async function* blocksOf(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path);
  try {
    const memory = [Buffer.allocUnsafeSlow(mebibyte), Buffer.allocUnsafeSlow(mebibyte)] as const;
    let reading = file.read(memory[0], 0, mebibyte);
    for (let turn = 1; ; turn++) {
      const { bytesRead, buffer } = await reading;
      if (bytesRead === 0) return;
      reading = file.read(memory[turn % 2 === 0 ? 0 : 1], 0, mebibyte);
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** Blocks of a mebibyte, each with its number in it, all in the same memory. */
function* blocks(count: number): Generator<Uint8Array> {
  const block = Buffer.alloc(mebibyte);
  for (let index = 0; index < count; index++) {
    block.fill(index & 0xff).writeUInt32LE(index);
    yield block;
  }
}

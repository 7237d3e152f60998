// SHA-256 of a long stream in a thread of its own: who receives the stream goes on receiving meanwhile.
import { Worker } from 'node:worker_threads';
import { KindredError } from '@kindred/errors';

/** Memory that both threads see, in bytes a block; the stream waits when all blocks are full. */
const blockBytes = 2 ** 20;
const blockCount = 6;
/** The number of no block: what is asked for is the hash. */
const end = -1;

/** The thread's program. As text, so that every program that holds this library has it without a file beside its own. */
const program = `
const { createHash } = require('node:crypto');
const { parentPort, workerData } = require('node:worker_threads');
const hash = createHash('sha256');
const blocks = workerData.map((memory) => new Uint8Array(memory));
parentPort.on('message', ({ block, length }) => {
  if (block === ${end}) return parentPort.postMessage({ block, digest: hash.digest('hex') });
  hash.update(blocks[block].subarray(0, length));
  parentPort.postMessage({ block, digest: '' });
});
`;

/** A hash in the making; ended by `close`. */
export interface ThreadHash {
  /** Takes a part in; what is returned resolves once there is room for the next. The part may be used again at once. */
  update(part: Uint8Array): Promise<void>;
  /** Of all parts, lower-case hexadecimal. Called once, last. */
  digest(): Promise<string>;
  close(): Promise<void>;
}

/** Starts the thread. */
export function createThreadHash(): ThreadHash {
  const memory = Array.from({ length: blockCount }, () => new SharedArrayBuffer(blockBytes));
  const blocks = memory.map((shared) => new Uint8Array(shared));
  const worker = new Worker(program, { eval: true, execArgv: [], workerData: memory });
  const free = blocks.map((_, block) => block);
  let current = free.pop() as number;
  let filled = 0;
  let digest: string | null = null;
  let failure: Error | null = null;
  let wake = (): void => {};
  worker.on('message', (reply: { readonly block: number; readonly digest: string }) => {
    if (reply.block === end) digest = reply.digest;
    else free.push(reply.block);
    wake();
  });
  const fail = (error: Error): void => {
    failure ??= error;
    wake();
  };
  worker.on('error', fail);
  worker.on('exit', () => fail(new KindredError('INTERNAL', 'the thread that hashes has ended')));
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) {
      if (failure !== null) throw failure;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };

  return {
    async update(part) {
      for (let taken = 0; taken < part.length;) {
        const copied = Math.min(part.length - taken, blockBytes - filled);
        blocks[current]?.set(part.subarray(taken, taken + copied), filled);
        taken += copied;
        filled += copied;
        if (filled < blockBytes) continue;
        worker.postMessage({ block: current, length: filled });
        await until(() => free.length > 0);
        current = free.pop() as number;
        filled = 0;
      }
    },
    async digest() {
      worker.postMessage({ block: current, length: filled });
      worker.postMessage({ block: end, length: 0 });
      await until(() => digest !== null);
      return digest ?? '';
    },
    async close() {
      await worker.terminate();
    },
  };
}

// How a thread that opens a dataset gets its shards: it asks through a port, the service's main thread reads and checks them.
import type { MessagePort } from 'node:worker_threads';
import { deserializeError, serializeError, type SerializedError } from '@kindred/errors';
import type { DatasetFile } from '@kindred/lineage';

type Answer =
  | { readonly number: number; readonly bytes: Uint8Array }
  | { readonly number: number; readonly error: SerializedError };

/** Answers what a thread asks through `port`, until the port is closed. */
export function serveShards(port: MessagePort, fetch: (file: DatasetFile) => Promise<Uint8Array>): void {
  port.on('message', ({ number, file }: { number: number; file: DatasetFile }) => {
    fetch(file).then(
      // Moved, not copied: a shard is large, and nobody here reads it again.
      (bytes) => port.postMessage({ number, bytes } satisfies Answer, [bytes.buffer as ArrayBuffer]),
      (thrown: unknown) => port.postMessage({ number, error: serializeError(thrown) } satisfies Answer),
    );
  });
}

/** The thread's side of {@link serveShards}. */
export function askForShards(port: MessagePort): (file: DatasetFile) => Promise<Uint8Array> {
  const waiting = new Map<number, { resolve: (bytes: Uint8Array) => void; reject: (error: Error) => void }>();
  let next = 0;
  port.on('message', (answer: Answer) => {
    const asker = waiting.get(answer.number);
    waiting.delete(answer.number);
    if ('bytes' in answer) asker?.resolve(answer.bytes);
    else asker?.reject(deserializeError(answer.error));
  });
  return (file) =>
    new Promise((resolve, reject) => {
      const number = next++;
      waiting.set(number, { resolve, reject });
      port.postMessage({ number, file });
    });
}

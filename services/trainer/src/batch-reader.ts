// The main thread's side of the batch reader: streams of batches, a bounded number of them waiting here.
import { Worker } from 'node:worker_threads';
import { KindredError, deserializeError } from '@kindred/errors';
import { StreamBatchesRequest, type StreamBatchesResponse } from '@kindred/protocol/augmentation';
import { workerEntry } from '@kindred/workers';
import type { BatchReaderCommand, BatchReaderData, BatchReaderMessage } from './batch-reader.worker.js';

/** Reads streams of batches. */
export interface BatchReader {
  /** One stream, in order; at most `ahead` batches wait for the consumer. Leaving the loop gives the stream up. */
  stream(request: StreamBatchesRequest, ahead: number): AsyncGenerator<StreamBatchesResponse, void, undefined>;
  close(): Promise<void>;
}

interface Consumer {
  readonly waiting: BatchReaderMessage[];
  wake: () => void;
}

/** Starts the reader's thread. `onNotice` hears of a service that stops answering, and of its return. */
export function createBatchReader(data: BatchReaderData, onNotice: (message: string) => void): BatchReader {
  const entry = workerEntry(import.meta.url, 'batch-reader');
  const worker = new Worker(entry.filename, { execArgv: entry.execArgv, workerData: data });
  const consumers = new Map<number, Consumer>();
  let nextStream = 0;
  let failure: Error | null = null;

  worker.on('message', (message: BatchReaderMessage) => {
    if (message.kind === 'notice') return onNotice(message.message);
    const consumer = consumers.get(message.stream);
    consumer?.waiting.push(message);
    consumer?.wake();
  });
  const fail = (error: Error): void => {
    failure ??= error;
    for (const { wake } of consumers.values()) wake();
  };
  worker.on('error', fail);
  worker.on('exit', () => fail(new KindredError('INTERNAL', 'the batch reader thread has ended')));
  const command = (message: BatchReaderCommand): void => worker.postMessage(message);

  return {
    async *stream(request, ahead) {
      const stream = nextStream++;
      const consumer: Consumer = { waiting: [], wake: () => {} };
      consumers.set(stream, consumer);
      command({ kind: 'open', stream, request: StreamBatchesRequest.encode(request).finish(), ahead });
      try {
        for (;;) {
          while (consumer.waiting.length === 0) {
            if (failure !== null) throw failure;
            await new Promise<void>((resolve) => (consumer.wake = resolve));
          }
          const message = consumer.waiting.shift() as BatchReaderMessage;
          if (message.kind === 'end') return;
          if (message.kind === 'error') throw deserializeError(message.error);
          if (message.kind !== 'batch') continue;
          command({ kind: 'more', stream });
          yield message.batch;
        }
      } finally {
        consumers.delete(stream);
        command({ kind: 'close', stream });
      }
    },
    async close() {
      await worker.terminate();
    },
  };
}

// The thread that reads batches over gRPC, so that the next ones arrive while TensorFlow keeps the main thread busy.
import { setTimeout as delay } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { isKindredError, serializeError, toKindredError, type SerializedError } from '@kindred/errors';
import {
  AugmentationServiceDefinition,
  StreamBatchesRequest,
  type StreamBatchesResponse,
} from '@kindred/protocol/augmentation';
import { connect } from '@kindred/service-runtime';

/** What the thread is started with. */
export interface BatchReaderData {
  readonly address: string;
  /** How long to wait for a service that does not answer, or says that it is busy, in milliseconds. */
  readonly retryMs: number;
}

/** From the main thread: begin a stream, allow one more batch, or give a stream up. */
export type BatchReaderCommand =
  | { readonly kind: 'open'; readonly stream: number; readonly request: Uint8Array; readonly ahead: number }
  | { readonly kind: 'more'; readonly stream: number }
  | { readonly kind: 'close'; readonly stream: number };

/** To the main thread. */
export type BatchReaderMessage =
  | { readonly kind: 'batch'; readonly stream: number; readonly batch: StreamBatchesResponse }
  | { readonly kind: 'end'; readonly stream: number }
  | { readonly kind: 'error'; readonly stream: number; readonly error: SerializedError }
  | { readonly kind: 'notice'; readonly message: string };

interface OpenStream {
  readonly abort: AbortController;
  /** Batches that may still be sent before the main thread asks for more. */
  credit: number;
  wake: () => void;
}

/** Between two tries of a service that does not answer. */
const unavailablePauseMs = 250;

const { address, retryMs } = workerData as BatchReaderData;
const port = parentPort;
if (port === null) throw new Error('batch-reader.worker runs as a worker thread only');
const { client } = connect(AugmentationServiceDefinition, { service: 'data-augmentation', address });
const streams = new Map<number, OpenStream>();

port.on('message', (command: BatchReaderCommand) => {
  switch (command.kind) {
    case 'open': {
      const open: OpenStream = { abort: new AbortController(), credit: command.ahead, wake: () => {} };
      streams.set(command.stream, open);
      void run(command.stream, StreamBatchesRequest.decode(command.request), open);
      return;
    }
    case 'more': {
      const open = streams.get(command.stream);
      if (open === undefined) return;
      open.credit++;
      open.wake();
      return;
    }
    case 'close': {
      const open = streams.get(command.stream);
      open?.abort.abort();
      open?.wake();
    }
  }
});

async function run(stream: number, request: StreamBatchesRequest, open: OpenStream): Promise<void> {
  try {
    for await (const batch of readWithRetry(request, open.abort.signal)) {
      while (open.credit === 0 && !open.abort.signal.aborted) {
        await new Promise<void>((resolve) => (open.wake = resolve));
      }
      if (open.abort.signal.aborted) break;
      open.credit--;
      // A copy of its own moves; a view would drag the whole gRPC frame's buffer along.
      const images = batch.images.slice();
      send({ kind: 'batch', stream, batch: { ...batch, images } }, [images.buffer as ArrayBuffer]);
    }
    send({ kind: 'end', stream });
  } catch (thrown) {
    if (!open.abort.signal.aborted) send({ kind: 'error', stream, error: serializeError(thrown) });
  } finally {
    streams.delete(stream);
  }
}

/** Reads the stream; when the service stops answering, or is busy, goes on from the next batch once it serves again. */
async function* readWithRetry(
  request: StreamBatchesRequest,
  signal: AbortSignal,
): AsyncGenerator<StreamBatchesResponse> {
  let next = request.firstBatch;
  let brokenSince: number | null = null;
  for (;;) {
    try {
      for await (const batch of client.streamBatches({ ...request, firstBatch: next }, { signal })) {
        if (brokenSince !== null) send({ kind: 'notice', message: `data-augmentation at ${address} answers again` });
        brokenSince = null;
        next = batch.batch + 1;
        yield batch;
      }
      return;
    } catch (thrown) {
      const pauseMs = retryPause(thrown);
      if (pauseMs === null) throw thrown;
      if (brokenSince === null) {
        send({ kind: 'notice', message: `${toKindredError(thrown).message}; the run waits for it` });
      }
      brokenSince ??= performance.now();
      if (performance.now() - brokenSince > retryMs) throw thrown;
      await delay(pauseMs, undefined, { signal });
    }
  }
}

/** Milliseconds until a repeat makes sense; null: never. A limit without a time to retry stays passed. */
function retryPause(thrown: unknown): number | null {
  if (isKindredError(thrown, 'UNAVAILABLE')) return unavailablePauseMs;
  return isKindredError(thrown, 'RESOURCE_EXHAUSTED') ? thrown.retryAfterMs : null;
}

function send(message: BatchReaderMessage, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}

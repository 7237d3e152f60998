// The connections to an S3 server: kept alive, and read in large pieces.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { invalidField } from '@kindred/errors';
import type { S3Location } from './store-location.js';

/** What is received of a body before it is used: less, and the socket waits while a file is written. */
const receivedAheadBytes = 2 ** 20;
/**
 * What one call of the kernel may give. Node reads 64 KiB at a time into new memory; with one buffer of 1 MiB a socket an
 * object of 512 MiB costs a fifth less processor time, with 256 KiB no less than before.
 */
const readBytes = 2 ** 20;

/** Makes the agent of a store. @throws KindredError INVALID_ARGUMENT when the CA file cannot be read. */
export function s3Agent({ endpoint, caFile, parallelParts }: S3Location): http.Agent {
  const options = { keepAlive: true, maxSockets: 4 * parallelParts, highWaterMark: receivedAheadBytes };
  if (endpoint.protocol === 'http:') return new LargeReadAgent(options);
  if (caFile === null) return new https.Agent(options);
  try {
    return new https.Agent({ ...options, ca: readFileSync(caFile) });
  } catch (thrown) {
    throw invalidField(
      'store: ca',
      `got '${caFile}', ${(thrown as Error).message}; allowed: a file of certificates (PEM)`,
    );
  }
}

/** Plain connections that read into a buffer each; Node's TLS has no such option. */
class LargeReadAgent extends http.Agent {
  override createConnection(options: net.NetConnectOpts): net.Socket {
    // Node's parser listens for `data` and copies what it keeps of it, so that the buffer is free again when `emit` returns.
    const callback = (bytes: number, buffer: Uint8Array): boolean => {
      socket.emit('data', buffer.subarray(0, bytes));
      return true;
    };
    const onread = { buffer: Buffer.allocUnsafeSlow(readBytes), callback };
    const socket: net.Socket = net.connect({ ...options, onread });
    return socket;
  }
}

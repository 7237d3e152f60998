// The gate below grpc-js, in front of grpc-js's own servers: what it answers is no call, what it leaves alone is.
import { once } from 'node:events';
import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import { createServer } from 'nice-grpc';
import { HealthDefinition, HealthServiceImpl } from 'nice-grpc-server-health';
import { afterEach, describe, expect, it } from 'vitest';
import { listenBehind, type StreamGate } from './stream-gate.js';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

const refuseAll: StreamGate = (stream) => {
  stream.respond({ ':status': 200, 'grpc-status': '8' }, { endStream: true });
  return true;
};

async function start(gate: StreamGate | null): Promise<ClientHttp2Session> {
  const server = createServer();
  server.add(HealthDefinition, HealthServiceImpl());
  const port = await listenBehind(gate, () => server.listen('127.0.0.1:0'));
  const session = connect(`http://127.0.0.1:${port}`);
  open.push({ close: () => server.shutdown() }, { close: () => session.close() });
  return session;
}

/** `grpc-status` of an empty health check, from the headers or from the trailers. */
async function check(session: ClientHttp2Session): Promise<string> {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  let status = '';
  const note = (headers: IncomingHttpHeaders): void => void (status = String(headers['grpc-status'] ?? status));
  stream.on('response', note);
  stream.on('trailers', note);
  stream.end(Buffer.alloc(5));
  stream.resume();
  await once(stream, 'close');
  return status;
}

describe('listenBehind', () => {
  it('answers streams before grpc-js sees them, and hands on the others', async () => {
    let refusing = true;
    const paths: unknown[] = [];
    const session = await start((stream, headers) => {
      paths.push(headers[':path']);
      return refusing && refuseAll(stream, headers);
    });
    expect(await check(session)).toBe('8');
    refusing = false;
    expect(await check(session)).toBe('0');
    expect(paths).toEqual(Array(2).fill('/grpc.health.v1.Health/Check'));
  });

  it('gives each of two servers that begin to listen at one time its own gate', async () => {
    const [refused, answered, gateless] = await Promise.all([start(refuseAll), start(() => false), start(null)]);
    expect(await Promise.all([refused, answered, gateless].map(check))).toEqual(['8', '0', '0']);
  });

  it('is in nobody’s way where a server cannot listen', async () => {
    await expect(listenBehind(refuseAll, () => Promise.reject(new Error('in use')))).rejects.toThrow('in use');
    expect(await check(await start(null))).toBe('0');
  });
});

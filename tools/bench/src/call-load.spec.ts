// The load client against real servers: what it counts is what they did.
import { once } from 'node:events';
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { KindredError } from '@kindred/errors';
import { EmbeddingServiceDefinition, EmbedRequest } from '@kindred/protocol/embedding';
import { startService, type RunningService } from '@kindred/service-runtime';
import { afterEach, describe, expect, it } from 'vitest';
import { runCallLoad, type CallLoadOptions } from './call-load.js';
import { ownLoad } from './own-load.js';

const path = '/kindred.embedding.v1.EmbeddingService/Embed';
const pixels = Buffer.alloc(32 * 32 * 3, 7);
const message = EmbedRequest.encode(
  EmbedRequest.fromPartial({
    model: 'm',
    images: { $case: 'raw', value: { pixels, count: 1, height: 32, width: 32 } },
  }),
).finish();
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

interface Seen {
  answered: number;
  /** Refused by the handler, and before the message was read. */
  refused: number;
  invalid: number;
}

/** A service that answers some calls, refuses some early, some late, and calls some invalid. */
async function startEmbedding(seen: Seen, maxConnectionAgeMs = 0): Promise<RunningService> {
  const unused = (): never => {
    throw new KindredError('UNIMPLEMENTED', 'not part of this stand-in');
  };
  let calls = 0;
  const service = await startService({
    name: 'embedding',
    network: { host: '127.0.0.1', port: 0, metricsPort: 0, drainMs: 100, maxConnectionAgeMs },
    overloaded() {
      if (++calls % 3 !== 0) return null;
      seen.refused++;
      return { text: 'full', retryAfterMs: calls };
    },
    register: (registrar) =>
      registrar.add(EmbeddingServiceDefinition, {
        async embed(request) {
          expect(request.images).toEqual({ $case: 'raw', value: expect.objectContaining({ pixels }) });
          if (calls % 5 === 0) {
            seen.refused++;
            throw new KindredError('RESOURCE_EXHAUSTED', `no room for call ${calls}`);
          }
          if (calls % 7 === 0) {
            seen.invalid++;
            throw new KindredError('INVALID_ARGUMENT', 'not so');
          }
          seen.answered++;
          return { vectors: new Uint8Array(512), count: 1, dimension: 128, model: 'm', modelVersion: '1', errors: [] };
        },
        ...{ getInfo: unused, embedStream: unused, listModels: unused, loadModel: unused, unloadModel: unused },
        ...{ startEmbedDataset: unused, getEmbedDataset: unused, watchEmbedDataset: unused },
        ...{ cancelEmbedDataset: unused },
      }),
  });
  closers.push(() => service.close());
  return service;
}

describe('runCallLoad and a service', () => {
  it('begins as many calls as the rate says, and counts each as the service does', async () => {
    const seen: Seen = { answered: 0, refused: 0, invalid: 0 };
    const { address } = await startEmbedding(seen);
    const load = { address, path, message, seconds: 0.5, concurrency: 1, rate: 401 };
    const result = await runCallLoad(load);
    expect(result.begun).toBe(201);
    expect(seen.answered + seen.refused + seen.invalid).toBe(201);
    expect(seen.answered).toBeGreaterThan(0);
    expect(seen.invalid).toBeGreaterThan(0);
    expect(result.answeredMs).toHaveLength(seen.answered);
    expect(result.refusedMs).toHaveLength(seen.refused);
    expect(result.otherEnds).toEqual({ 'grpc-status 3': seen.invalid });
  });

  it('counts the same in a process of its own, so many calls at one time', async () => {
    const seen: Seen = { answered: 0, refused: 0, invalid: 0 };
    const { address } = await startEmbedding(seen);
    const result = await ownLoad({ address, path, message, seconds: 0.3, concurrency: 10, rate: null });
    expect(result.answeredMs).toHaveLength(seen.answered);
    expect(result.refusedMs).toHaveLength(seen.refused);
    expect(result.otherStatuses).toEqual({ 'grpc-status 3': seen.invalid });
    expect(seen.answered).toBeGreaterThan(10);
    expect(result.loadCores).toBeGreaterThan(0);
  });

  it('loses no call where the service sends its connections away', async () => {
    const seen: Seen = { answered: 0, refused: 0, invalid: 0 };
    const { address } = await startEmbedding(seen, 100);
    const result = await runCallLoad({ address, path, message, seconds: 1, concurrency: 8, rate: null });
    expect(result.answeredMs).toHaveLength(seen.answered);
    expect(result.refusedMs).toHaveLength(seen.refused);
    expect(result.otherEnds).toEqual({ 'grpc-status 3': seen.invalid });
    expect(result.begun).toBe(seen.answered + seen.refused + seen.invalid);
  });
});

/** A server of bare HTTP/2, for what a service does seldom. */
async function startBare(
  answer: (stream: ServerHttp2Stream, session: ServerHttp2Session, headers: Readonly<Record<string, unknown>>) => void,
  settings = {},
): Promise<{ readonly load: CallLoadOptions; readonly sessions: Set<unknown>; readonly server: Http2Server }> {
  const server = createServer({ settings });
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => void sessions.add(session));
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    if (stream.session !== undefined) answer(stream, stream.session as ServerHttp2Session, headers);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    load: { address, path, message, seconds: 0.2, concurrency: 6, rate: null, connections: 2 },
    sessions,
    server,
  };
}

function answerWith(stream: ServerHttp2Stream, status: string, more: Readonly<Record<string, string>> = {}): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status, ...more }));
  stream.end(Buffer.alloc(5));
}

describe('runCallLoad and bare HTTP/2', () => {
  it('keeps within windows with messages larger than they are, and says what it calls', async () => {
    const large = Buffer.from(Array.from({ length: 150_000 }, (_, i) => i % 251));
    const body = Buffer.concat([Buffer.of(0), Buffer.from('000249f0', 'hex'), large]);
    let whole = 0;
    const { load } = await startBare(
      (stream, _, headers) => {
        expect(headers).toMatchObject({
          ...{ ':method': 'POST', ':scheme': 'http', ':path': path, ':authority': load.address },
          ...{ 'content-type': 'application/grpc', te: 'trailers', 'grpc-timeout': '30S' },
        });
        const parts: Buffer[] = [];
        stream.on('data', (part: Buffer) => parts.push(part));
        stream.on('end', () => {
          if (Buffer.concat(parts).equals(body)) whole++;
          answerWith(stream, '0');
        });
      },
      { initialWindowSize: 20_000 },
    );
    const result = await runCallLoad({ ...load, connections: 1, message: large });
    expect(result.answeredMs).toHaveLength(whole);
    expect(result.begun).toBe(whole);
    expect(whole).toBeGreaterThan(6);
  });

  it('keeps within the limit of streams, and fails where a window holds no frame of the call', async () => {
    let [open, most, calls] = [0, 0, 0];
    const answer = (stream: ServerHttp2Stream): void => {
      calls++;
      most = Math.max(most, ++open);
      stream.resume();
      setTimeout(() => {
        open--;
        answerWith(stream, '0');
      }, 2);
    };
    const { load } = await startBare(answer, { maxConcurrentStreams: 2 });
    const result = await runCallLoad({ ...load, connections: 1 });
    expect(result.otherEnds).toEqual({});
    expect(result.answeredMs).toHaveLength(calls);
    expect(result.begun).toBe(calls);
    expect(most).toBe(2);

    const narrow = await startBare(answer, { initialWindowSize: 1000 });
    await expect(runCallLoad(narrow.load)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  it('goes on over new connections after GOAWAY', async () => {
    let calls = 0;
    const { load, sessions } = await startBare((stream, session) => {
      stream.resume();
      stream.on('end', () => {
        answerWith(stream, '0');
        if (++calls % 10 === 0) session.close();
      });
    });
    const result = await runCallLoad(load);
    expect(result.otherEnds).toEqual({});
    expect(result.answeredMs).toHaveLength(calls);
    expect(result.begun).toBe(calls);
    expect(sessions.size).toBeGreaterThan(3);
  });

  it('names other ends: statuses, resets, no status; reads trailers of several frames', async () => {
    const seen: Record<string, number> = {
      ...{ 'no grpc-status': 0, 'stream reset with 2': 0, 'grpc-status 14': 0 },
      ...{ 'grpc-status 8 after a message': 0, long: 0 },
    };
    const kinds = Object.keys(seen);
    let calls = 0;
    const { load } = await startBare((stream) => {
      const kind = kinds[calls++ % kinds.length] ?? '';
      seen[kind] = (seen[kind] ?? 0) + 1;
      stream.resume();
      if (kind === 'no grpc-status') {
        stream.respond({ ':status': 200 });
        stream.end(Buffer.alloc(5));
      } else if (kind === 'stream reset with 2') stream.close(2);
      else if (kind === 'grpc-status 8 after a message') answerWith(stream, '8');
      else if (kind === 'long') answerWith(stream, '0', { filler: 'x'.repeat(40_000) });
      else stream.respond({ ':status': 200, 'grpc-status': '14' }, { endStream: true });
    });
    const result = await runCallLoad({ ...load, rate: 200 });
    const { long, ...others } = seen;
    expect(result.begun).toBe(40);
    expect(result.answeredMs).toHaveLength(long ?? Number.NaN);
    expect(result.otherEnds).toEqual(others);
  });

  it('fails where nobody listens and where a connection breaks', async () => {
    const { load, server } = await startBare(() => {
      for (const socket of sockets) socket.destroy();
    });
    const sockets: Socket[] = [];
    server.on('connection', (socket: Socket) => void sockets.push(socket));
    await expect(runCallLoad(load)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    server.close();
    await once(server, 'close');
    await expect(runCallLoad(load)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

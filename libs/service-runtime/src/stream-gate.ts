// A gate below grpc-js: it sees each HTTP/2 stream of a server first, and what it answers never becomes a call.
import { channel } from 'node:diagnostics_channel';
import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';

/** Whether it has answered the stream, which nobody else gets to see then. */
export type StreamGate = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => boolean;

type StreamListener = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...more: unknown[]) => void;

/** grpc-js keeps its HTTP/2 servers to itself; Node tells of each server that begins to listen (diagnostics_channel, net.Server). */
const listens = channel('tracing:net.server.listen:asyncStart');

/** One server at a time begins to listen, so that each gets its own gate. */
let turn: Promise<unknown> = Promise.resolve();

/**
 * Runs `listen` with `gate` before each HTTP/2 server that begins to listen in it; null: with none. Where Node does not tell of them,
 * streams come without having been at the gate: what it keeps out has to be kept out by an interceptor as well.
 */
export function listenBehind<T>(gate: StreamGate | null, listen: () => Promise<T>): Promise<T> {
  const listening = turn.then(async () => {
    const onListen = (message: unknown): void => {
      const { server } = message as { readonly server: Http2Server };
      if (gate !== null && server.listenerCount('stream') > 0) putBefore(server, gate);
    };
    listens.subscribe(onListen);
    try {
      return await listen();
    } finally {
      listens.unsubscribe(onListen);
    }
  });
  turn = listening.catch(() => {});
  return listening;
}

function putBefore(server: Http2Server, gate: StreamGate): void {
  const behind = server.listeners('stream') as StreamListener[];
  server.removeAllListeners('stream');
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...more: unknown[]) => {
    if (gate(stream, headers)) return;
    for (const listener of behind) listener.call(server, stream, headers, ...more);
  });
}

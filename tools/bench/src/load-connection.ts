// One HTTP/2 connection of the load client: sends a call's ready frames, and reads of each answer only how it ended.
import { connect } from 'node:net';
import { KindredError } from '@kindred/errors';
import { placeFrames, windowOf, type CallFrames } from './call-frames.js';
import { grpcStatus } from './header-block.js';
import * as http2 from './http2-frames.js';

/** How a call ended: with a message and status 0, refused with RESOURCE_EXHAUSTED and no message, or anything else by name. */
export type CallEnd = 'answered' | 'refused' | (string & {});

/** A connection with a life: opened by {@link openLoadConnection}, ended by `close` or the server's GOAWAY. */
export interface LoadConnection {
  /** Puts a call at the end of the queue; `beganMs` comes back with its end. Goes out with the next flush. */
  begin(beganMs: number): void;
  /** Writes at once all that the windows and the server's limit of streams let out. */
  flush(): void;
  close(): void;
}

/** What a connection tells. */
export interface LoadConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly call: CallFrames;
  readonly onEnd: (beganMs: number, end: CallEnd) => void;
  /** The server takes no more here (GOAWAY); calls that it has not looked at. May come twice. */
  readonly onRetired: (unseen: readonly number[]) => void;
  readonly onFailed: (error: KindredError) => void;
}

interface Stream {
  readonly beganMs: number;
  hasMessage: boolean;
  status: number | null;
}

const { flag, frameType, setting } = http2;
const readBytes = 65_536;
/** Bytes received after which the connection's window is filled up again. */
const topUpBytes = 2 ** 28;
const exhausted = 8;
/** CANCEL (RFC 9113, 7). */
const cancelCode = 8;
/** Header blocks whose status is remembered, since most answers end with the same bytes. */
const rememberedBlocks = 256;

/** Connects; calls wait until the server has told its settings. */
export function openLoadConnection(options: LoadConnectionOptions): LoadConnection {
  const { call, onEnd } = options;
  const streams = new Map<number, Stream>();
  const statuses = new Map<string, number | null>();
  let waiting: number[] = [];
  let nextStream = 1;
  let connectionWindow = http2.firstWindow;
  let streamWindow = http2.firstWindow;
  let mostStreams = Number.POSITIVE_INFINITY;
  let received = 0;
  let [knowsLimits, retired, closed] = [false, false, false];
  /** A call that did not fit into the windows whole. */
  let sending: { readonly stream: number; next: number; window: number } | null = null;
  /** A header block that goes on in the next frame. */
  let partial: { readonly stream: number; readonly flags: number; readonly block: Buffer } | null = null;

  const read = http2.frameReader(take);
  const socket = connect({
    ...{ host: options.host, port: options.port, noDelay: true },
    onread: {
      buffer: Buffer.allocUnsafe(readBytes),
      callback(size, buffer) {
        read(Buffer.from(buffer.buffer, buffer.byteOffset, size));
        flush();
        return true;
      },
    },
  });
  socket.on('error', (cause) => {
    if (!retired) fail(new KindredError('UNAVAILABLE', 'the connection was lost', { cause }));
  });
  socket.on('close', () => {
    if (!retired) fail(new KindredError('UNAVAILABLE', 'the server closed the connection'));
    if (closed) return;
    for (const stream of [...streams.keys()]) finish(stream, 'connection closed');
  });
  const settings = [
    [setting.headerTableSize, 0],
    [setting.enablePush, 0],
    [setting.initialWindowSize, http2.largestWindow],
  ] as const;
  const widened = http2.numberFrame(frameType.windowUpdate, 0, http2.largestWindow - http2.firstWindow);
  socket.write(Buffer.concat([http2.preface, http2.settingsFrame(settings), widened]));

  return {
    begin: (beganMs) => void waiting.push(beganMs),
    flush,
    close() {
      closed = retired = true;
      socket.destroy();
    },
  };

  function fail(error: KindredError): void {
    if (closed) return;
    closed = true;
    socket.destroy();
    options.onFailed(error);
  }

  function flush(): void {
    if (!knowsLimits || closed) return;
    const out: { readonly frames: readonly Buffer[]; readonly stream: number }[] = [];
    let [bytes, begun] = [0, 0];
    const put = (stream: number, frame: Buffer): void => {
      out.push({ frames: [frame], stream });
      bytes += frame.length;
    };
    for (;;) {
      if (sending !== null) {
        const data = call.data[sending.next];
        if (data === undefined) {
          sending = null;
          continue;
        }
        const size = windowOf(data);
        if (size > connectionWindow || size > sending.window) break;
        put(sending.stream, data);
        connectionWindow -= size;
        sending.window -= size;
        sending.next++;
        continue;
      }
      const beganMs = waiting[begun];
      if (beganMs === undefined || retired || streams.size >= mostStreams) break;
      const stream = nextStream;
      nextStream += 2;
      begun++;
      streams.set(stream, { beganMs, hasMessage: false, status: null });
      if (call.windowBytes <= connectionWindow && call.windowBytes <= streamWindow) {
        out.push({ frames: [call.headers, ...call.data], stream });
        bytes += call.bytes;
        connectionWindow -= call.windowBytes;
      } else {
        put(stream, call.headers);
        sending = { stream, next: 0, window: streamWindow };
      }
    }
    if (begun > 0) waiting = waiting.slice(begun);
    if (bytes === 0) return;
    const burst = Buffer.allocUnsafe(bytes);
    let at = 0;
    for (const { frames, stream } of out) at = placeFrames(burst, at, frames, stream);
    socket.write(burst);
  }

  function finish(number: number, end: CallEnd): void {
    const stream = streams.get(number);
    // The server may reset a stream that it has ended.
    if (stream === undefined) return;
    streams.delete(number);
    if (sending?.stream === number) {
      // Answered before it was all said.
      socket.write(http2.numberFrame(frameType.resetStream, number, cancelCode));
      sending = null;
    }
    onEnd(stream.beganMs, end);
    endIfDone();
  }

  function endIfDone(): void {
    if (retired && streams.size === 0) socket.end();
  }

  function take(frame: http2.Frame): void {
    const { type, flags, stream, payload } = frame;
    switch (type) {
      case frameType.data:
        takeData(frame);
        break;
      case frameType.headers:
      case frameType.continuation: {
        const begun =
          type === frameType.headers
            ? { stream, flags, block: http2.headerBlock(frame) }
            : partial && { ...partial, block: Buffer.concat([partial.block, payload]) };
        if (begun === null) break;
        if ((flags & flag.endHeaders) === 0) partial = { ...begun, block: Buffer.from(begun.block) };
        else {
          partial = null;
          takeHeaders(begun.stream, (begun.flags & flag.endStream) !== 0, begun.block);
        }
        break;
      }
      case frameType.resetStream:
        finish(stream, `stream reset with ${payload.readUInt32BE(0)}`);
        break;
      case frameType.settings:
        if ((flags & flag.ack) === 0) takeSettings(payload);
        break;
      case frameType.ping:
        if ((flags & flag.ack) === 0) socket.write(http2.frame(frameType.ping, flag.ack, 0, payload));
        break;
      case frameType.goAway:
        takeGoAway(payload.readUInt32BE(0) & http2.largestWindow);
        break;
      case frameType.windowUpdate: {
        const more = payload.readUInt32BE(0) & http2.largestWindow;
        if (stream === 0) connectionWindow += more;
        else if (sending?.stream === stream) sending.window += more;
        break;
      }
    }
  }

  function takeData({ stream: number, flags, payload }: http2.Frame): void {
    received += payload.length;
    if (received >= topUpBytes) {
      socket.write(http2.numberFrame(frameType.windowUpdate, 0, received));
      received = 0;
    }
    const stream = streams.get(number);
    if (stream !== undefined && payload.length > 0) stream.hasMessage = true;
    if ((flags & flag.endStream) !== 0) finish(number, 'no grpc-status');
  }

  function takeHeaders(number: number, last: boolean, block: Buffer): void {
    const stream = streams.get(number);
    if (stream === undefined) return;
    const key = block.toString('latin1');
    let status = statuses.get(key);
    if (status === undefined) {
      status = grpcStatus(block);
      if (statuses.size < rememberedBlocks) statuses.set(key, status);
    }
    stream.status = status ?? stream.status;
    if (last) finish(number, endOf(stream));
  }

  function takeSettings(payload: Buffer): void {
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      const [name, value] = [payload.readUInt16BE(at), payload.readUInt32BE(at + 2)];
      if (name === setting.maxConcurrentStreams) mostStreams = value;
      if (name !== setting.initialWindowSize) continue;
      if (sending !== null) sending.window += value - streamWindow;
      streamWindow = value;
      const [first] = call.data;
      // Frames are sent whole, so the window must hold the largest of a call.
      if (first !== undefined && windowOf(first) > value) {
        fail(
          new KindredError('FAILED_PRECONDITION', `a stream's window is ${value} bytes, a frame ${windowOf(first)}`),
        );
      }
    }
    knowsLimits = true;
    socket.write(http2.frame(frameType.settings, flag.ack, 0, Buffer.alloc(0)));
  }

  function takeGoAway(lastStream: number): void {
    retired = true;
    const unseen = [...streams].filter(([number]) => number > lastStream);
    for (const [number] of unseen) {
      streams.delete(number);
      if (sending?.stream === number) sending = null;
    }
    const again = [...unseen.map(([, { beganMs }]) => beganMs), ...waiting];
    waiting = [];
    options.onRetired(again);
    endIfDone();
  }
}

function endOf({ status, hasMessage }: Stream): CallEnd {
  if (status === 0 && hasMessage) return 'answered';
  if (status === exhausted && !hasMessage) return 'refused';
  return status === null ? 'no grpc-status' : `grpc-status ${status}${hasMessage ? ' after a message' : ''}`;
}

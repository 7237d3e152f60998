// One unary gRPC call as frames that are made once; a stream's number is all that differs between calls.
import { requestHeaders } from './header-block.js';
import { flag, frame, frameType, headLength, largestPayload, streamAt } from './http2-frames.js';

/** A call, ready to be sent. */
export interface CallFrames {
  readonly headers: Buffer;
  /** DATA frames, the last of which ends the stream. */
  readonly data: readonly Buffer[];
  /** Length of all of it. */
  readonly bytes: number;
  /** What the frames take of the windows of connection and stream, in all. */
  readonly windowBytes: number;
}

/** What is called. */
export interface CallTarget {
  readonly authority: string;
  /** `/package.Service/Method`. */
  readonly path: string;
  /** The request's message as protobuf. */
  readonly message: Uint8Array;
  readonly timeoutSeconds: number;
}

/** Makes the frames of a call; the message goes uncompressed. */
export function callFrames({ authority, path, message, timeoutSeconds }: CallTarget): CallFrames {
  const block = requestHeaders(authority, path, timeoutSeconds);
  const headers = frame(frameType.headers, flag.endHeaders, 0, block);
  const body = Buffer.alloc(5 + message.length);
  body.writeUInt32BE(message.length, 1);
  body.set(message, 5);
  const data: Buffer[] = [];
  for (let at = 0; at < body.length; at += largestPayload) {
    const last = at + largestPayload >= body.length;
    data.push(frame(frameType.data, last ? flag.endStream : 0, 0, body.subarray(at, at + largestPayload)));
  }
  const bytes = data.reduce((sum, { length }) => sum + length, headers.length);
  return { headers, data, bytes, windowBytes: body.length };
}

/** Bytes that a DATA frame takes of the windows. */
export const windowOf = (dataFrame: Buffer): number => dataFrame.length - headLength;

/** Writes frames for `stream` to `target` at `at`; returns where they end. */
export function placeFrames(target: Buffer, at: number, frames: readonly Buffer[], stream: number): number {
  let end = at;
  for (const bytes of frames) {
    target.set(bytes, end);
    target.writeUInt32BE(stream, end + streamAt);
    end += bytes.length;
  }
  return end;
}

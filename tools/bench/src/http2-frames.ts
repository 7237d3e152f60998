// Frames of HTTP/2 (RFC 9113, section 4 and 6), as bytes.

/** What a client says first (RFC 9113, 3.4). */
export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
/** The largest payload that a peer takes without having said otherwise. */
export const largestPayload = 16_384;
/** Largest window (RFC 9113, 6.9.1). */
export const largestWindow = 2 ** 31 - 1;
/** Window of a connection, and of a stream without a setting (RFC 9113, 6.9.2). */
export const firstWindow = 65_535;
/** Bytes of a frame before its payload (RFC 9113, 4.1). */
export const headLength = 9;
/** Where the number of the stream begins in it. */
export const streamAt = 5;

export const frameType = {
  data: 0,
  headers: 1,
  resetStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const flag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

export const setting = { headerTableSize: 1, enablePush: 2, maxConcurrentStreams: 3, initialWindowSize: 4 } as const;

/** One frame; `payload` is a view that is right only until the reader gets more. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** A frame as it is sent. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(headLength + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, streamAt);
  bytes.set(payload, headLength);
  return bytes;
}

/** A SETTINGS frame of pairs of identifier and value. */
export function settingsFrame(pairs: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(6 * pairs.length);
  pairs.forEach(([name, value], i) => {
    payload.writeUInt16BE(name, 6 * i);
    payload.writeUInt32BE(value, 6 * i + 2);
  });
  return frame(frameType.settings, 0, 0, payload);
}

/** A frame of a stream whose payload is one number: WINDOW_UPDATE, RST_STREAM. */
export function numberFrame(type: number, stream: number, value: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(value);
  return frame(type, 0, stream, payload);
}

/** Cuts what comes into frames. The function returned takes bytes of any length and calls `got` for each whole frame. */
export function frameReader(got: (frame: Frame) => void): (bytes: Buffer) => void {
  let kept: Buffer | null = null;
  return (bytes) => {
    const all = kept === null ? bytes : Buffer.concat([kept, bytes]);
    let at = 0;
    while (all.length - at >= headLength) {
      const end = at + headLength + all.readUIntBE(at, 3);
      if (end > all.length) break;
      const [type = 0, flags = 0] = all.subarray(at + 3, at + 5);
      got({
        type,
        flags,
        stream: all.readUInt32BE(at + streamAt) & largestWindow,
        payload: all.subarray(at + headLength, end),
      });
      at = end;
    }
    // A copy: the caller reads the next bytes into the same memory.
    kept = at === all.length ? null : Buffer.from(all.subarray(at));
  };
}

/** The header block in a HEADERS frame, without padding and priority (RFC 9113, 6.2). */
export function headerBlock({ flags, payload }: Frame): Buffer {
  const padded = (flags & flag.padded) !== 0;
  const begin = (padded ? 1 : 0) + ((flags & flag.priority) === 0 ? 0 : 5);
  return payload.subarray(begin, Math.max(begin, payload.length - (padded ? (payload[0] ?? 0) : 0)));
}

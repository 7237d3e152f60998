// Protocol buffers' wire format, writing only: the few messages of a SavedModel need no more than this.

/** One encoded message. */
export type Encoded = Uint8Array;

/** A whole number field (also enums and booleans); negative numbers take ten bytes, as proto3's int64 does. */
export function varintField(field: number, value: number | bigint): Encoded {
  return concat([varint(field << 3), varint(value)]);
}

/** A float32 field. */
export function floatField(field: number, value: number): Encoded {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return concat([varint((field << 3) | 5), bytes]);
}

/** A field with a length: bytes, text in UTF-8, or a message. */
export function bytesField(field: number, value: Encoded | string): Encoded {
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return concat([varint((field << 3) | 2), varint(bytes.length), bytes]);
}

/** Joins fields into a message. */
export function concat(parts: readonly Encoded[]): Encoded {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}

function varint(value: number | bigint): Encoded {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

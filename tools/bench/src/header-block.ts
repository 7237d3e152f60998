// As much of HPACK (RFC 7541) as a gRPC load client needs: requests as literals, and the `grpc-status` of an answer.

/** Static entries that a request names (RFC 7541, appendix A). */
const staticIndex: Readonly<Record<string, number>> = {
  ':authority': 1,
  ':path': 4,
  'content-type': 31,
  'user-agent': 58,
};
/** Whole static entries: `:method: POST` and `:scheme: http`. */
const post = 0x83;
const http = 0x86;
const staticEntries = 61;

/** `grpc-status` by the code of RFC 7541, appendix B: g 100110, r 101100, p 101011, c 00100, - 010110, s 01000, t 01001, a 00011, u 101101. */
const huffmanName = packed('100110 101100 101011 00100 010110 01000 01001 00011 01001 101101 01000');
const plainName = Buffer.from('grpc-status').toString('latin1');
const digits = '00000 00001 00010 011001 011010 011011 011100 011101 011110 011111'.split(' ');
/** The statuses of gRPC, 0 to 16, as Huffman codes of their digits. */
const huffmanStatus = new Map(
  Array.from({ length: 17 }, (_, status) => [packed([...`${status}`].map((d) => digits[Number(d)]).join(' ')), status]),
);

/** Header fields of a unary gRPC request over plain HTTP/2, none of which goes to the table of the connection. */
export function requestHeaders(authority: string, path: string, timeoutSeconds: number): Buffer {
  return Buffer.concat([
    Buffer.of(post, http),
    literal(':path', path),
    literal(':authority', authority),
    literal('content-type', 'application/grpc'),
    literal('te', 'trailers'),
    literal('user-agent', 'kindred-bench'),
    literal('grpc-timeout', `${timeoutSeconds}S`),
  ]);
}

/**
 * The `grpc-status` of a header block; null where it has none, NaN where the block cannot be read: the client offers a table of
 * size 0, so an index beyond the static table is an error of the server's.
 */
export function grpcStatus(block: Buffer): number | null {
  const cursor = { block, at: 0 };
  let status: number | null = null;
  while (cursor.at < block.length) {
    const first = block[cursor.at] ?? 0;
    if ((first & 0x80) !== 0) {
      const index = readInteger(cursor, 7);
      if (!(index >= 1 && index <= staticEntries)) return Number.NaN;
    } else if ((first & 0xe0) === 0x20) {
      if (readInteger(cursor, 5) !== 0) return Number.NaN;
    } else {
      const index = readInteger(cursor, (first & 0x40) === 0 ? 4 : 6);
      if (!(index <= staticEntries)) return Number.NaN;
      const name = index === 0 ? readString(cursor) : null;
      const value = readString(cursor);
      if (value === null || (index === 0 && name === null)) return Number.NaN;
      if (name !== null && name.text === (name.huffman ? huffmanName : plainName)) {
        if (value.huffman) status = huffmanStatus.get(value.text) ?? Number.NaN;
        else status = /^\d{1,2}$/.test(value.text) ? Number(value.text) : Number.NaN;
      }
    }
  }
  return status;
}

interface Cursor {
  readonly block: Buffer;
  at: number;
}

/** RFC 7541, 5.1; NaN where the block ends in it or it is longer than any of ours. */
function readInteger(cursor: Cursor, prefixBits: number): number {
  const limit = 2 ** prefixBits - 1;
  let value = (cursor.block[cursor.at++] ?? 0) & limit;
  if (value < limit) return value;
  for (let shift = 0; shift <= 21; shift += 7) {
    const byte = cursor.block[cursor.at++];
    if (byte === undefined) return Number.NaN;
    value += (byte & 0x7f) * 2 ** shift;
    if ((byte & 0x80) === 0) return value;
  }
  return Number.NaN;
}

/** RFC 7541, 5.2: the bytes as they are, one character each; null where the block is too short. */
function readString(cursor: Cursor): { readonly text: string; readonly huffman: boolean } | null {
  const first = cursor.block[cursor.at];
  if (first === undefined) return null;
  const length = readInteger(cursor, 7);
  if (!(cursor.at + length <= cursor.block.length)) return null;
  const text = cursor.block.toString('latin1', cursor.at, cursor.at + length);
  cursor.at += length;
  return { text, huffman: (first & 0x80) !== 0 };
}

/** A field without indexing and without Huffman's code (RFC 7541, 6.2.2). */
function literal(name: string, value: string): Buffer {
  const index = staticIndex[name];
  const head = index === undefined ? [Buffer.of(0), string(name)] : [integer(index, 4)];
  return Buffer.concat([...head, string(value)]);
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  return Buffer.concat([integer(bytes.length, 7), bytes]);
}

function integer(value: number, prefixBits: number): Buffer {
  const limit = 2 ** prefixBits - 1;
  if (value < limit) return Buffer.of(value);
  const bytes = [limit];
  let rest = value - limit;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.of(...bytes, rest);
}

/** Codes one after another, filled up with ones to a whole byte (RFC 7541, 5.2), one character a byte. */
function packed(codes: string): string {
  const bits = codes.replaceAll(' ', '');
  const whole = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1');
  return String.fromCharCode(...(whole.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}

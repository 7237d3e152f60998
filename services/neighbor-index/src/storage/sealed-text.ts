// Text files whose last line is the checksum of what comes before it.
import { checksumInTurns } from './checksum.js';

/** The file: `body`, which ends with a line break, and its checksum. */
export async function sealText(body: string): Promise<Uint8Array> {
  const bytes = Buffer.from(body);
  return Buffer.concat([bytes, Buffer.from(`crc32c ${await checksumInTurns(bytes)}\n`)]);
}

/** What was sealed; null: the checksum does not hold, or there is none. */
export async function openText(bytes: Uint8Array): Promise<string | null> {
  const text = Buffer.from(bytes).toString('utf8');
  const end = text.trimEnd().lastIndexOf('\n') + 1;
  const body = bytes.subarray(0, Buffer.byteLength(text.slice(0, end)));
  return text.slice(end) === `crc32c ${await checksumInTurns(body)}\n` ? text.slice(0, end) : null;
}

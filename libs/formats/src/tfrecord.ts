// TFRecord: records one after the other, each with its length and two masked checksums (tensorflow/core/lib/io/record_writer.h).
import { crc32c } from './crc32c.js';
import { damaged } from './damage.js';

const format = 'TFRecord';
/** Length in 8 bytes, its checksum in 4; after the data its checksum in 4. */
const headerBytes = 12;
const footerBytes = 4;

/** Writes records into one file. */
export function encodeTfRecords(records: readonly Uint8Array[]): Uint8Array {
  const total = records.reduce((sum, { length }) => sum + headerBytes + length + footerBytes, 0);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const record of records) {
    view.setBigUint64(at, BigInt(record.length), true);
    view.setUint32(at + 8, maskedChecksum(bytes.subarray(at, at + 8)), true);
    bytes.set(record, at + headerBytes);
    view.setUint32(at + headerBytes + record.length, maskedChecksum(record), true);
    at += headerBytes + record.length + footerBytes;
  }
  return bytes;
}

/** Reads the records of a file, as views of `bytes`. @throws KindredError DATA_LOSS when one is cut short or altered. */
export function decodeTfRecords(bytes: Uint8Array, name = 'records'): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const records: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const index = records.length;
    if (at + headerBytes > bytes.length) throw damaged(format, name, `record ${index} is cut short in its header`);
    if (view.getUint32(at + 8, true) !== maskedChecksum(bytes.subarray(at, at + 8))) {
      throw damaged(format, name, `the length of record ${index} does not fit its checksum`);
    }
    const start = at + headerBytes;
    const end = start + Number(view.getBigUint64(at, true));
    if (end + footerBytes > bytes.length) throw damaged(format, name, `record ${index} is cut short`);
    const record = bytes.subarray(start, end);
    if (view.getUint32(end, true) !== maskedChecksum(record)) {
      throw damaged(format, name, `record ${index} does not fit its checksum`);
    }
    records.push(record);
    at = end + footerBytes;
  }
  return records;
}

/** A checksum that may stand among data that is checksummed again: rotated right by 15 bits, plus a constant. */
function maskedChecksum(bytes: Uint8Array): number {
  const checksum = crc32c(bytes);
  return (((checksum >>> 15) | (checksum << 17)) + 0xa282ead8) >>> 0;
}

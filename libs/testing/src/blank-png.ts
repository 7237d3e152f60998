// A black PNG of any size, which takes few bytes however many pixels it has.
import { crc32, deflateSync } from 'node:zlib';

/** The file of a black image of 8-bit RGB (PNG specification, sections 5.3 and 11.2). */
export function blankPng(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.writeUInt8(8, 8);
  header.writeUInt8(2, 9);
  const rows = deflateSync(Buffer.alloc(height * (1 + 3 * width)));
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))]);
}

/** A PNG whose header says `width` × `height` of 8-bit RGB, with 40 KB of black pixels behind it, however many that would need. */
export function claimingPng(width: number, height: number): Buffer {
  const whole = blankPng(1, 1);
  const header = Buffer.from(whole.subarray(16, 29));
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  const rows = deflateSync(Buffer.alloc(40_000 * 1000)).subarray(0, 40_000);
  return Buffer.concat([
    whole.subarray(0, 8),
    chunk('IHDR', header),
    chunk('IDAT', rows),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, check]);
}

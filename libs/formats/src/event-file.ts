// TensorBoard's event files: TFRecords of `tensorflow.Event` messages (tensorflow/core/util/event.proto, summary.proto).
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { damaged } from './damage.js';
import { decodeTfRecords, encodeTfRecords } from './tfrecord.js';

/** A number at a step, shown in the curve of its tag. */
export interface ScalarEvent {
  /** Name of the curve; what stands before a slash groups curves. */
  readonly tag: string;
  readonly step: number;
  /** When it was measured, in milliseconds since 1970. */
  readonly timeMs: number;
  /** Kept as float32. */
  readonly value: number;
}

/** What the first event of a file says. */
const fileVersion = 'brain.Event:2';

/** Field numbers of the messages. */
const event = { wallTime: 1, step: 2, fileVersion: 3, summary: 5 } as const;
const summary = { value: 1 } as const;
const summaryValue = { tag: 1, simpleValue: 2 } as const;

/** Writes an event file with these scalars, in this order. Equal input gives equal bytes. */
export function encodeEventFile(scalars: readonly ScalarEvent[]): Uint8Array {
  const begin = new BinaryWriter();
  begin.tag(event.wallTime, WireType.Bit64).double((scalars[0]?.timeMs ?? 0) / 1000);
  begin.tag(event.fileVersion, WireType.LengthDelimited).string(fileVersion);
  return encodeTfRecords([begin.finish(), ...scalars.map(encodeScalar)]);
}

/**
 * Reads the scalars of an event file, passing over what else it holds.
 * @throws KindredError DATA_LOSS when it is cut short, altered, or no event file.
 */
export function decodeEventFile(bytes: Uint8Array, name = 'event file'): ScalarEvent[] {
  const scalars: ScalarEvent[] = [];
  decodeTfRecords(bytes, name).forEach((record, index) => {
    const { version, values, ...place } = decodeEvent(record);
    if (index === 0 && version !== fileVersion) {
      throw damaged('event', name, `it begins with version '${version}'; allowed: ${fileVersion}`);
    }
    scalars.push(...values.map((scalar) => ({ ...scalar, ...place })));
  });
  return scalars;
}

function encodeScalar({ tag, step, timeMs, value }: ScalarEvent): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(event.wallTime, WireType.Bit64).double(timeMs / 1000);
  writer.tag(event.step, WireType.Varint).int64(step);
  writer.tag(event.summary, WireType.LengthDelimited).fork();
  writer.tag(summary.value, WireType.LengthDelimited).fork();
  writer.tag(summaryValue.tag, WireType.LengthDelimited).string(tag);
  // The writer's `float` refuses numbers beyond float32's range; TensorBoard shows infinity.
  writer.tag(summaryValue.simpleValue, WireType.Bit32).float(Math.fround(value));
  return writer.join().join().finish();
}

function decodeEvent(record: Uint8Array) {
  const result = { timeMs: 0, step: 0, version: '', values: [] as Pick<ScalarEvent, 'tag' | 'value'>[] };
  eachField(new BinaryReader(record), record.length, (field, reader) => {
    if (field === event.wallTime) result.timeMs = reader.double() * 1000;
    else if (field === event.step) result.step = Number(reader.int64());
    else if (field === event.fileVersion) result.version = reader.string();
    else if (field === event.summary) {
      eachField(reader, reader.uint32(), (inner) => {
        if (inner !== summary.value) return false;
        const scalar = decodeValue(reader);
        if (scalar !== null) result.values.push(scalar);
        return true;
      });
    } else return false;
    return true;
  });
  return result;
}

function decodeValue(reader: BinaryReader): Pick<ScalarEvent, 'tag' | 'value'> | null {
  let tag = '';
  let value: number | null = null;
  eachField(reader, reader.uint32(), (field) => {
    if (field === summaryValue.tag) tag = reader.string();
    else if (field === summaryValue.simpleValue) value = reader.float();
    else return false;
    return true;
  });
  return value === null ? null : { tag, value };
}

/** Reads the fields of a message of `length` bytes; `read` says whether it has read the field, others are passed over. */
function eachField(reader: BinaryReader, length: number, read: (field: number, reader: BinaryReader) => boolean): void {
  const end = reader.pos + length;
  while (reader.pos < end) {
    const [field, type] = reader.tag();
    if (!read(field, reader)) reader.skip(type);
  }
}

// Protocol buffers' wire format, one message at a time: what SavedModel and ONNX files are written with.
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** Appends fields to one message, in the order of the calls. A repeated field is written once an element. */
export interface MessageWriter {
  /** int64, int32, enum or bool; negative numbers take ten bytes. */
  whole(field: number, value: number | bigint): void;
  /** float; rounded to float32. */
  float(field: number, value: number): void;
  /** string, in UTF-8. */
  text(field: number, value: string): void;
  bytes(field: number, value: Uint8Array): void;
  /** A message inside this one; one without fields is written too. */
  message(field: number, write: (inner: MessageWriter) => void): void;
}

/** The bytes of the message that `write` fills. */
export function encodeMessage(write: (message: MessageWriter) => void): Uint8Array {
  const wire = new BinaryWriter();
  const writer: MessageWriter = {
    whole(field, value) {
      wire.tag(field, WireType.Varint).int64(value);
    },
    float(field, value) {
      // The library refuses numbers beyond float32's range; rounded, they are infinite.
      wire.tag(field, WireType.Bit32).float(Math.fround(value));
    },
    text(field, value) {
      wire.tag(field, WireType.LengthDelimited).string(value);
    },
    bytes(field, value) {
      wire.tag(field, WireType.LengthDelimited).bytes(value);
    },
    message(field, writeInner) {
      wire.tag(field, WireType.LengthDelimited).fork();
      writeInner(writer);
      wire.join();
    },
  };
  write(writer);
  return wire.finish();
}

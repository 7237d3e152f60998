// Writes pickles of protocol 2, the form in which torch.save stores everything but the elements of tensors.
import { KindredError } from '@kindred/errors';
import { isTensor, storageClasses } from './pickle-value.js';
import type { PickleValue } from './pickle-value.js';
import { checkTensor } from './tensor.js';
import type { Tensor } from './tensor.js';

/** A pickle and the tensors that it refers to: the storage key of each is its place in `storages`. */
export interface WrittenPickle {
  readonly bytes: Uint8Array;
  readonly storages: readonly Tensor[];
}

/** Pickles `value`; a Map whose values are all tensors becomes an OrderedDict as `state_dict()` gives, other Maps a dict. */
export function writePickle(value: PickleValue): WrittenPickle {
  const writer = new PickleWriter();
  writer.protocol();
  writer.write(value, 'value');
  writer.stop();
  return { bytes: Buffer.concat(writer.chunks), storages: writer.storages };
}

class PickleWriter {
  readonly chunks: Buffer[] = [];
  readonly storages: Tensor[] = [];

  protocol(): void {
    this.chunks.push(Buffer.from([0x80, 2]));
  }

  stop(): void {
    this.op('.');
  }

  write(value: PickleValue, path: string): void {
    if (value === null) return this.op('N');
    if (typeof value === 'boolean') return this.op(value ? '\x88' : '\x89');
    if (typeof value === 'string') return this.text(value);
    if (typeof value === 'bigint') return this.long(value);
    if (typeof value === 'number')
      return Number.isSafeInteger(value) && !Object.is(value, -0) ? this.int(value) : this.float(value);
    if (Array.isArray(value)) return this.list(value as readonly PickleValue[], path);
    if (value instanceof Map) return this.dict(value, path);
    if (isTensor(value)) return this.tensor(value, path);
    if (typeof value === 'object' && 'float' in value) return this.float(value.float);
    throw new KindredError(
      'INVALID_ARGUMENT',
      `${path}: got a ${typeof value}; allowed: null, booleans, numbers, text, lists, Maps, tensors`,
    );
  }

  private op(opcodes: string): void {
    this.chunks.push(Buffer.from(opcodes, 'latin1'));
  }

  private text(value: string): void {
    const bytes = Buffer.from(value);
    const length = Buffer.alloc(5, 'X');
    length.writeUInt32LE(bytes.length, 1);
    this.chunks.push(length, bytes);
  }

  private int(value: number): void {
    if (value >= 0 && value < 256) return void this.chunks.push(Buffer.from([0x4b, value]));
    if (value < -(2 ** 31) || value >= 2 ** 31) return this.long(BigInt(value));
    const bytes = Buffer.alloc(5, 'J');
    bytes.writeInt32LE(value, 1);
    this.chunks.push(bytes);
  }

  private long(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) {
      throw new KindredError('INVALID_ARGUMENT', `got the whole number ${value}; allowed: 64 bits`);
    }
    const bytes = Buffer.from([0x8a, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.writeBigInt64LE(value, 2);
    this.chunks.push(bytes);
  }

  private float(value: number): void {
    const bytes = Buffer.alloc(9, 'G');
    bytes.writeDoubleBE(value, 1);
    this.chunks.push(bytes);
  }

  private list(values: readonly PickleValue[], path: string): void {
    this.op('](');
    values.forEach((value, i) => this.write(value, `${path}[${i}]`));
    this.op('e');
  }

  private dict(value: ReadonlyMap<string | number | bigint | boolean | null, PickleValue>, path: string): void {
    const ordered = value.size > 0 && [...value.values()].every(isTensor);
    this.op(ordered ? 'ccollections\nOrderedDict\n)R(' : '}(');
    for (const [key, item] of value) {
      this.write(key, `${path} key`);
      this.write(item, `${path}.${String(key)}`);
    }
    this.op('u');
  }

  /** `torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks)`. */
  private tensor(value: Tensor, path: string): void {
    checkTensor(path, value);
    this.op(`ctorch._utils\n_rebuild_tensor_v2\n((`);
    this.text('storage');
    this.op(`ctorch\n${storageClasses[value.dtype]}\n`);
    this.text(String(this.storages.length));
    this.text('cpu');
    this.int(value.data.length);
    this.op('tQ');
    this.storages.push(value);
    this.int(0);
    this.tuple(value.shape);
    this.tuple(rowMajorStrides(value.shape));
    this.op('\x89ccollections\nOrderedDict\n)RtR');
  }

  private tuple(values: readonly number[]): void {
    this.op('(');
    for (const value of values) this.int(value);
    this.op('t');
  }
}

/** Steps in elements between neighbours along each dimension of a C-ordered array; as PyTorch, a dimension of 0 counts as 1. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = (strides[i + 1] ?? 1) * Math.max(1, shape[i + 1] ?? 1);
  return strides;
}

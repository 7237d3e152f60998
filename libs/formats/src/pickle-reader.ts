// A reader of pickles (protocol 2) that only builds data: opcodes outside the list below are errors, and nothing is called.
import { KindredError } from '@kindred/errors';
import { damaged, unsupported } from './damage.js';

const format = 'pickle';

/** A class or function that the pickle names; it is only ever compared by name. */
export interface PickleGlobal {
  readonly global: string;
}

/** What gives meaning to the names in a pickle. Both throw for what is not allowed. */
export interface PickleHost {
  /** Called for `module.name` before anything is made of it. */
  readonly allow: (global: string) => boolean;
  /** The value of applying `global` to arguments that the pickle gives. */
  readonly reduce: (global: string, args: readonly unknown[]) => unknown;
  /** The object behind a persistent id. */
  readonly load: (id: unknown) => unknown;
}

const mark = Symbol('mark');
/** A state_dict takes about 40 opcodes a tensor. Each may make an empty dict, a hundred times as large in memory as on disk. */
const maxOpcodes = 1_000_000;

/**
 * Reads one pickle. DATA_LOSS when it is cut short or malformed, INVALID_ARGUMENT for an opcode or class not allowed,
 * RESOURCE_EXHAUSTED past a million opcodes.
 */
export function readPickle(bytes: Uint8Array, host: PickleHost, name: string): unknown {
  return new PickleMachine(bytes, host, name).run();
}

class PickleMachine {
  private at = 0;
  private readonly stack: unknown[] = [];
  private readonly memo = new Map<number, unknown>();
  private readonly view: DataView;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly host: PickleHost,
    private readonly name: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  run(): unknown {
    for (let count = 0; count < maxOpcodes; count++) {
      const position = this.at;
      const opcode = String.fromCharCode(this.byte());
      if (opcode === '.') return this.pop();
      this.step(opcode, position);
    }
    throw new KindredError(
      'RESOURCE_EXHAUSTED',
      `${this.name}: got over ${maxOpcodes} opcodes; allowed: ${maxOpcodes}`,
    );
  }

  private step(opcode: string, position: number): void {
    switch (opcode) {
      case '\x80': {
        const protocol = this.byte();
        if (protocol > 3) throw unsupported(format, this.name, `got protocol ${protocol}; allowed: 2 and 3`);
        return;
      }
      case '(':
        return this.push(mark);
      case '}':
        return this.push(new Map());
      case ']':
      case ')':
        return this.push([]);
      case 't':
        return this.push(this.popToMark());
      case '\x85':
        return this.push(this.popMany(1));
      case '\x86':
        return this.push(this.popMany(2));
      case '\x87':
        return this.push(this.popMany(3));
      case 'N':
        return this.push(null);
      case '\x88':
        return this.push(true);
      case '\x89':
        return this.push(false);
      case 'K':
        return this.push(this.byte());
      case 'M':
        return this.push(this.view.getUint16(this.take(2), true));
      case 'J':
        return this.push(this.view.getInt32(this.take(4), true));
      case '\x8a':
        return this.push(this.long(this.byte()));
      case 'G':
        return this.push(this.view.getFloat64(this.take(8), false));
      case 'X':
        return this.push(this.text(this.view.getUint32(this.take(4), true)));
      case 'q':
        return this.remember(this.byte());
      case 'r':
        return this.remember(this.view.getUint32(this.take(4), true));
      case 'h':
        return this.recall(this.byte());
      case 'j':
        return this.recall(this.view.getUint32(this.take(4), true));
      case 'c':
        return this.push(this.global());
      case 'Q':
        return this.push(this.host.load(this.pop()));
      case 'R':
        return this.reduce();
      case 'b':
        return this.build();
      case 'a':
        return this.append(this.popMany(1));
      case 'e':
        return this.append(this.popToMark());
      case 's':
        return this.assign(this.popMany(2));
      case 'u':
        return this.assign(this.popToMark());
      default:
        throw unsupported(
          format,
          this.name,
          `opcode 0x${opcode.charCodeAt(0).toString(16).padStart(2, '0')} at byte ${position} is not allowed`,
        );
    }
  }

  private fail(problem: string): never {
    throw damaged(format, this.name, `${problem} before byte ${this.at} of ${this.bytes.length}`);
  }

  private take(count: number): number {
    const start = this.at;
    if (count > this.bytes.length - start) this.fail(`ends ${count - (this.bytes.length - start)} bytes short`);
    this.at += count;
    return start;
  }

  private byte(): number {
    return this.view.getUint8(this.take(1));
  }

  private text(length: number): string {
    const start = this.take(length);
    return Buffer.from(this.bytes.subarray(start, start + length)).toString('utf8');
  }

  private line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) this.fail('a class name has no end');
    const text = this.text(end - this.at);
    this.at = end + 1;
    return text;
  }

  private long(length: number): number | bigint {
    if (length > 8) this.fail(`got a whole number of ${length} bytes, allowed: 8,`);
    const start = this.take(length);
    let value = 0n;
    for (let i = 0; i < length; i++) value |= BigInt(this.view.getUint8(start + i)) << BigInt(8 * i);
    value = BigInt.asIntN(length * 8, value);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  private push(value: unknown): void {
    this.stack.push(value);
  }

  private pop(): unknown {
    if (this.stack.length === 0 || this.stack.at(-1) === mark) this.fail('takes a value that is not there');
    return this.stack.pop();
  }

  private popMany(count: number): unknown[] {
    const values = Array.from({ length: count }, () => this.pop());
    return values.toReversed();
  }

  private popToMark(): unknown[] {
    const at = this.stack.lastIndexOf(mark);
    if (at < 0) this.fail('closes a group that was not opened');
    const values = this.stack.splice(at);
    return values.slice(1);
  }

  private remember(slot: number): void {
    const value = this.pop();
    this.push(value);
    this.memo.set(slot, value);
  }

  private recall(slot: number): void {
    if (!this.memo.has(slot)) this.fail(`recalls memo ${slot} that was not set`);
    this.push(this.memo.get(slot));
  }

  private global(): PickleGlobal {
    const module = this.line();
    const global = `${module}.${this.line()}`;
    if (!this.host.allow(global))
      throw unsupported(format, this.name, `class ${JSON.stringify(global)} is not allowed`);
    return { global };
  }

  private reduce(): void {
    const [target, args] = this.popMany(2);
    if (!isGlobal(target) || !Array.isArray(args)) this.fail('applies what is no class');
    this.push(this.host.reduce(target.global, args));
  }

  /** `state_dict()` carries its format version as an attribute (`_metadata`); attributes are dropped. */
  private build(): void {
    const [target] = this.popMany(2);
    if (!(target instanceof Map)) this.fail('sets attributes of what is no dict');
    this.push(target);
  }

  private append(values: unknown[]): void {
    const list = this.stack.at(-1);
    if (!Array.isArray(list)) this.fail('appends to what is no list');
    for (const value of values) list.push(value);
  }

  private assign(pairs: unknown[]): void {
    const dict = this.stack.at(-1);
    if (!(dict instanceof Map) || pairs.length % 2 !== 0) this.fail('sets items of what is no dict');
    for (let i = 0; i < pairs.length; i += 2) {
      const key = pairs[i];
      if (typeof key === 'object' && key !== null) this.fail('has a dict key that is neither text nor number');
      dict.set(key, pairs[i + 1]);
    }
  }
}

function isGlobal(value: unknown): value is PickleGlobal {
  return typeof value === 'object' && value !== null && 'global' in value && typeof value.global === 'string';
}

// The WebAssembly kernels of this thread, started at their first use, and their memory.
import { kernelBinary } from './generated/kernel-binary.js';

const pageBytes = 65_536;

/** The part of the WebAssembly API that is used: TypeScript has its types among those of browsers only. */
declare const WebAssembly: {
  readonly Module: new (binary: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

/** What assembly/ exports; addresses and lengths are in bytes, `planes` are red, green and blue, `planeBytes` apart. */
export interface KernelFunctions {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  freeMemory(): number;
  resizeRows(
    source: number,
    stride: number,
    rows: number,
    table: number,
    pairs: number,
    outputs: number,
    out: number,
  ): void;
  resizeColumns(
    source: number,
    stride: number,
    table: number,
    pairs: number,
    rowBytes: number,
    outputs: number,
    out: number,
    outStride: number,
  ): void;
  splitChannels(source: number, rowBytes: number, size: number, planes: number, planeBytes: number): void;
  mergeChannels(planes: number, planeBytes: number, pixels: number, out: number): void;
  blendWithValue(bytes: number, vectors: number, base: number, factor: number): void;
  blendWithLuma(planes: number, planeBytes: number, vectors: number, factor: number): void;
  lumaSum(planes: number, planeBytes: number, vectors: number): number;
  turnGray(planes: number, planeBytes: number, vectors: number): void;
  shiftHue(planes: number, planeBytes: number, vectors: number, shift: number): void;
}

/** Kernels and a view of their memory, which grows and never shrinks. */
export interface Kernels {
  readonly functions: KernelFunctions;
  /** First address that is free for the caller. */
  readonly freeFrom: number;
  /** The memory up to at least `end`; another array than before once it has grown. */
  bytes(end: number): Uint8Array;
}

let kernels: Kernels | null = null;

/** The kernels of this thread. */
export function threadKernels(): Kernels {
  kernels ??= startKernels();
  return kernels;
}

function startKernels(): Kernels {
  const module = new WebAssembly.Module(Buffer.from(kernelBinary, 'base64'));
  const functions = new WebAssembly.Instance(module).exports as KernelFunctions;
  let memory = new Uint8Array(functions.memory.buffer);
  return {
    functions,
    freeFrom: functions.freeMemory(),
    bytes(end) {
      if (end > memory.length) {
        functions.memory.grow(Math.ceil((end - memory.length) / pageBytes));
        memory = new Uint8Array(functions.memory.buffer);
      }
      return memory;
    },
  };
}

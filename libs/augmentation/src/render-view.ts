// One view by the WebAssembly kernels: the same bytes as portable-view.ts, many times as fast.
import { hueShift } from './hue.js';
import { threadKernels, type KernelFunctions } from './kernels.js';
import { isVerticalFirst } from './resized-crop.js';
import type { CropBox, RgbImage } from './rgb-image.js';
import { jitterSteps, type SimclrParameters } from './simclr-parameters.js';
import { createTableArena, type PlacedTable, type TableArena } from './table-arena.js';

/** Most memory of the kernels that a thread keeps; views that need more are for the portable code. */
const maxMemoryBytes = 64 << 20;
/** What resize tables take of it. */
const tableBytes = 1 << 20;
/** Bytes that a kernel may read or write past the end of an area. */
const slack = 64;

/** Where the parts of a view of one size lie, by address. */
interface Layout {
  readonly size: number;
  /** Red, green and blue, `planeBytes` apart. */
  readonly planes: number;
  readonly planeBytes: number;
  /** The finished view. */
  readonly merged: number;
  /** The resized image, four bytes a pixel, rows `rowBytes` apart. */
  readonly pixels: number;
  readonly rowBytes: number;
  /** The rows of the image that the crop touches. */
  readonly source: number;
}

let arena: TableArena | null = null;
let layout: Layout | null = null;
let finished: Uint8Array = new Uint8Array(0);

/**
 * Writes the view, `[size, size, 3]`, into `out` from byte `offset` on; image, box and room have been checked.
 * False, with nothing done, when the kernels would need more than 64 MiB of memory.
 */
export function renderView(
  image: RgbImage,
  parameters: SimclrParameters,
  size: number,
  out: Uint8Array,
  offset: number,
): boolean {
  const kernels = threadKernels();
  const tablesFrom = aligned(kernels.freeFrom);
  if (layout?.size !== size) layout = layoutFor(size, tablesFrom + tableBytes);
  const { crop, flip } = parameters;
  const stride = image.width * 3;
  const between = aligned(layout.source + (crop.height + 1) * stride);
  const end = aligned(between + betweenBytes(crop, layout));
  if (end > maxMemoryBytes) return false;
  const memory = kernels.bytes(end);
  arena ??= createTableArena(tablesFrom, tableBytes);
  arena.beginView();
  const across = arena.place(memory, crop.width, size, flip);
  const down = arena.place(memory, crop.height, size, false);
  if (across === null || down === null) return false;

  const from = crop.top * stride + crop.left * 3;
  memory.set(image.data.subarray(from, from + (crop.height - 1) * stride + crop.width * 3), layout.source);
  resize(kernels.functions, crop, stride, across, down, between, layout);
  const { planes, planeBytes, merged } = layout;
  const pixelCount = size * size;
  kernels.functions.splitChannels(layout.pixels, layout.rowBytes, size, planes, planeBytes);
  if (parameters.jitter) jitter(kernels.functions, parameters, layout);
  if (parameters.grayscale) kernels.functions.turnGray(planes, planeBytes, vectorsOf(pixelCount));
  kernels.functions.mergeChannels(planes, planeBytes, pixelCount, merged);
  if (finished.buffer !== memory.buffer || finished.byteOffset !== merged || finished.length !== pixelCount * 3) {
    finished = memory.subarray(merged, merged + pixelCount * 3);
  }
  out.set(finished, offset);
  return true;
}

function resize(
  kernels: KernelFunctions,
  crop: CropBox,
  stride: number,
  across: PlacedTable,
  down: PlacedTable,
  between: number,
  { size, source, pixels, rowBytes }: Layout,
): void {
  const outputs = rowBytes / 4;
  if (crop.height === size) {
    kernels.resizeRows(source, stride, size, across.address, across.pairs, outputs, pixels);
  } else if (isVerticalFirst(crop, size)) {
    const cropBytes = crop.width * 3;
    kernels.resizeColumns(source, stride, down.address, down.pairs, cropBytes, size, between, cropBytes);
    kernels.resizeRows(between, cropBytes, size, across.address, across.pairs, outputs, pixels);
  } else {
    kernels.resizeRows(source, stride, crop.height, across.address, across.pairs, outputs, between);
    kernels.resizeColumns(between, rowBytes, down.address, down.pairs, rowBytes, size, pixels, rowBytes);
  }
}

function jitter(kernels: KernelFunctions, parameters: SimclrParameters, { size, planes, planeBytes }: Layout): void {
  const vectors = vectorsOf(size * size);
  const { brightness, contrast, saturation, hue } = parameters;
  for (const step of parameters.jitter_order) {
    if (step === jitterSteps.brightness && brightness !== null) {
      kernels.blendWithValue(planes, (3 * planeBytes) / 16, 0, brightness);
    } else if (step === jitterSteps.contrast && contrast !== null) {
      const mean = Math.trunc(kernels.lumaSum(planes, planeBytes, vectors) / (size * size) + 0.5);
      kernels.blendWithValue(planes, (3 * planeBytes) / 16, mean, contrast);
    } else if (step === jitterSteps.saturation && saturation !== null) {
      kernels.blendWithLuma(planes, planeBytes, vectors, saturation);
    } else if (step === jitterSteps.hue && hue !== null) {
      kernels.shiftHue(planes, planeBytes, vectors, hueShift(hue));
    }
  }
}

function layoutFor(size: number, from: number): Layout {
  const rowBytes = Math.ceil(size / 4) * 16;
  const planeBytes = (vectorsOf(size * size) + 1) * 16;
  const planes = aligned(from);
  const merged = aligned(planes + 3 * planeBytes);
  const pixels = aligned(merged + size * size * 3);
  const source = aligned(pixels + size * rowBytes);
  return { size, planes, planeBytes, merged, pixels, rowBytes, source };
}

/** Bytes of what the first of both passes makes; one row more, which the second may read with weight 0. */
function betweenBytes(crop: CropBox, { size, rowBytes }: Layout): number {
  return isVerticalFirst(crop, size) ? (size + 1) * crop.width * 3 : (crop.height + 1) * rowBytes;
}

function vectorsOf(pixels: number): number {
  return Math.ceil(pixels / 16);
}

/** The next multiple of 16 with {@link slack} before it. */
function aligned(address: number): number {
  return Math.ceil((address + slack) / 16) * 16;
}

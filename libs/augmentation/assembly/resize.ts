// Pillow's two resize passes in its 8-bit fixed point, on weights that src/resize-table.ts lays out.
//
// A weight of 22 fraction bits is split into 11 high and 11 low bits, so that one 16-bit dot product takes two input
// pixels at a time: sum(p · w) = (sum(p · high) << 11) + sum(p · low), exactly, in 32 bits.

const lowBits: i32 = 11;
const precisionBits: i32 = 22;
const half: i32 = 1 << (precisionBits - 1);

/**
 * Resizes `rows` rows of interleaved RGB, `stride` bytes apart from `source` on, along x to `outputs` pixels of four bytes
 * each (the fourth is 0 or noise). `outputs` is a multiple of 4. Reads up to 10 bytes past a row's end.
 */
export function resizeRows(
  source: usize,
  stride: i32,
  rows: i32,
  table: usize,
  pairs: i32,
  outputs: i32,
  out: usize,
): void {
  const entryBytes: usize = 4 + 8 * pairs;
  for (let y = 0; y < rows; y++) {
    let entry = table;
    for (let x = 0; x < outputs; x += 4) {
      const pixel0 = resizedPixel(source, entry, pairs);
      const pixel1 = resizedPixel(source, entry + entryBytes, pairs);
      const pixel2 = resizedPixel(source, entry + 2 * entryBytes, pairs);
      const pixel3 = resizedPixel(source, entry + 3 * entryBytes, pairs);
      const packed = i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(pixel0, pixel1), i16x8.narrow_i32x4_s(pixel2, pixel3));
      v128.store(out, packed);
      out += 16;
      entry += 4 * entryBytes;
    }
    source += stride;
  }
}

/** One output pixel of a row: int32 lanes red, green, blue. */
function resizedPixel(row: usize, entry: usize, pairs: i32): v128 {
  let at = row + <usize>load<i32>(entry) * 3;
  let high = i32x4.dot_i16x8_s(pixelPair(at), v128.load32_splat(entry, 4));
  let low = i32x4.dot_i16x8_s(pixelPair(at), v128.load32_splat(entry, 8));
  for (let pair = 1; pair < pairs; pair++) {
    at += 6;
    entry += 8;
    high = i32x4.add(high, i32x4.dot_i16x8_s(pixelPair(at), v128.load32_splat(entry, 4)));
    low = i32x4.add(low, i32x4.dot_i16x8_s(pixelPair(at), v128.load32_splat(entry, 8)));
  }
  return weighted(high, low);
}

/** Two neighbouring RGB pixels as int16 lanes: red, red, green, green, blue, blue, 0, 0. */
function pixelPair(at: usize): v128 {
  const bytes = v128.load64_zero(at);
  return i8x16.swizzle(bytes, i8x16(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
}

/**
 * Resizes rows of `rowBytes` bytes, `stride` bytes apart from `source` on, along y to `outputs` rows, `outStride` bytes
 * apart. Works in steps of 16 bytes: a row's end may be read and written up to 15 bytes past, so that rows must be written
 * in order. Reads up to one row past the last.
 */
export function resizeColumns(
  source: usize,
  stride: i32,
  table: usize,
  pairs: i32,
  rowBytes: i32,
  outputs: i32,
  out: usize,
  outStride: i32,
): void {
  const entryBytes: usize = 4 + 8 * pairs;
  for (let y = 0; y < outputs; y++) {
    const top = source + <usize>(load<i32>(table) * stride);
    if (pairs === 1) twoRows(top, stride, v128.load32_splat(table, 4), v128.load32_splat(table, 8), rowBytes, out);
    else manyRows(top, stride, table, pairs, rowBytes, out);
    table += entryBytes;
    out += outStride;
  }
}

function twoRows(top: usize, stride: i32, high: v128, low: v128, rowBytes: i32, out: usize): void {
  for (let x = 0; x < rowBytes; x += 16) {
    const above = v128.load(top + x);
    const below = v128.load(top + x + stride);
    const left = interleavedLow(above, below);
    const right = interleavedHigh(above, below);
    const pairs0 = i16x8.extend_low_i8x16_u(left);
    const pairs1 = i16x8.extend_high_i8x16_u(left);
    const pairs2 = i16x8.extend_low_i8x16_u(right);
    const pairs3 = i16x8.extend_high_i8x16_u(right);
    v128.store(
      out + x,
      i8x16.narrow_i16x8_u(
        i16x8.narrow_i32x4_s(
          weighted(i32x4.dot_i16x8_s(pairs0, high), i32x4.dot_i16x8_s(pairs0, low)),
          weighted(i32x4.dot_i16x8_s(pairs1, high), i32x4.dot_i16x8_s(pairs1, low)),
        ),
        i16x8.narrow_i32x4_s(
          weighted(i32x4.dot_i16x8_s(pairs2, high), i32x4.dot_i16x8_s(pairs2, low)),
          weighted(i32x4.dot_i16x8_s(pairs3, high), i32x4.dot_i16x8_s(pairs3, low)),
        ),
      ),
    );
  }
}

function manyRows(top: usize, stride: i32, entry: usize, pairs: i32, rowBytes: i32, out: usize): void {
  for (let x = 0; x < rowBytes; x += 16) {
    let high0 = i32x4.splat(0);
    let high1 = i32x4.splat(0);
    let high2 = i32x4.splat(0);
    let high3 = i32x4.splat(0);
    let low0 = i32x4.splat(0);
    let low1 = i32x4.splat(0);
    let low2 = i32x4.splat(0);
    let low3 = i32x4.splat(0);
    let at = top + x;
    let weights = entry;
    for (let pair = 0; pair < pairs; pair++) {
      const high = v128.load32_splat(weights, 4);
      const low = v128.load32_splat(weights, 8);
      const above = v128.load(at);
      const below = v128.load(at + stride);
      const left = interleavedLow(above, below);
      const right = interleavedHigh(above, below);
      const pairs0 = i16x8.extend_low_i8x16_u(left);
      const pairs1 = i16x8.extend_high_i8x16_u(left);
      const pairs2 = i16x8.extend_low_i8x16_u(right);
      const pairs3 = i16x8.extend_high_i8x16_u(right);
      high0 = i32x4.add(high0, i32x4.dot_i16x8_s(pairs0, high));
      high1 = i32x4.add(high1, i32x4.dot_i16x8_s(pairs1, high));
      high2 = i32x4.add(high2, i32x4.dot_i16x8_s(pairs2, high));
      high3 = i32x4.add(high3, i32x4.dot_i16x8_s(pairs3, high));
      low0 = i32x4.add(low0, i32x4.dot_i16x8_s(pairs0, low));
      low1 = i32x4.add(low1, i32x4.dot_i16x8_s(pairs1, low));
      low2 = i32x4.add(low2, i32x4.dot_i16x8_s(pairs2, low));
      low3 = i32x4.add(low3, i32x4.dot_i16x8_s(pairs3, low));
      at += 2 * stride;
      weights += 8;
    }
    v128.store(
      out + x,
      i8x16.narrow_i16x8_u(
        i16x8.narrow_i32x4_s(weighted(high0, low0), weighted(high1, low1)),
        i16x8.narrow_i32x4_s(weighted(high2, low2), weighted(high3, low3)),
      ),
    );
  }
}

/** The rounded result from both halves of the sums. */
function weighted(high: v128, low: v128): v128 {
  const sum = i32x4.add(i32x4.shl(high, lowBits), i32x4.add(low, i32x4.splat(half)));
  return i32x4.shr_s(sum, precisionBits);
}

function interleavedLow(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

function interleavedHigh(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

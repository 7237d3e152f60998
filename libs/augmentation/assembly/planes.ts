// Pixels of four bytes into one plane a channel, and planes into interleaved RGB.

/**
 * Splits `size` rows of `size` pixels, `rowBytes` bytes apart, into three planes, `planeBytes` bytes apart, without gaps
 * between rows. Bytes of a plane past its last pixel become 0. `planeBytes` is a multiple of 16 with 16 bytes to spare.
 */
export function splitChannels(source: usize, rowBytes: i32, size: i32, planes: usize, planeBytes: i32): void {
  const green = planes + planeBytes;
  const blue = green + planeBytes;
  for (let y = 0; y < size; y++) {
    // A row's last step may write past its end: the next row, or the zeros below, overwrite that.
    const to = <usize>(y * size);
    for (let x = 0; x < size; x += 16) {
      const pixels = source + <usize>(4 * x);
      const a = v128.load(pixels);
      const b = v128.load(pixels, 16);
      const c = v128.load(pixels, 32);
      const d = v128.load(pixels, 48);
      const first = i8x16.shuffle(a, b, 0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
      const second = i8x16.shuffle(c, d, 0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
      const firstBlue = i8x16.shuffle(a, b, 2, 6, 10, 14, 18, 22, 26, 30, 2, 6, 10, 14, 18, 22, 26, 30);
      const secondBlue = i8x16.shuffle(c, d, 2, 6, 10, 14, 18, 22, 26, 30, 2, 6, 10, 14, 18, 22, 26, 30);
      v128.store(planes + to + x, i64x2.shuffle(first, second, 0, 2));
      v128.store(green + to + x, i64x2.shuffle(first, second, 1, 3));
      v128.store(blue + to + x, i64x2.shuffle(firstBlue, secondBlue, 0, 2));
    }
    source += rowBytes;
  }
  const pixelCount = <usize>(size * size);
  for (let plane = planes; plane <= blue; plane += planeBytes) {
    memory.fill(plane + pixelCount, 0, <usize>planeBytes - pixelCount);
  }
}

/** Interleaves planes of `pixels` pixels as RGB; writes up to 48 bytes past the last. */
export function mergeChannels(planes: usize, planeBytes: i32, pixels: i32, out: usize): void {
  for (let x = 0; x < pixels; x += 16) {
    const red = v128.load(planes + x);
    const green = v128.load(planes + x + planeBytes);
    const blue = v128.load(planes + x + 2 * planeBytes);
    const redGreen0 = i8x16.shuffle(red, green, 0, 16, 0, 1, 17, 0, 2, 18, 0, 3, 19, 0, 4, 20, 0, 5);
    const redGreen1 = i8x16.shuffle(red, green, 21, 0, 6, 22, 0, 7, 23, 0, 8, 24, 0, 9, 25, 0, 10, 26);
    const redGreen2 = i8x16.shuffle(red, green, 0, 11, 27, 0, 12, 28, 0, 13, 29, 0, 14, 30, 0, 15, 31, 0);
    v128.store(out, i8x16.shuffle(redGreen0, blue, 0, 1, 16, 3, 4, 17, 6, 7, 18, 9, 10, 19, 12, 13, 20, 15));
    v128.store(out, i8x16.shuffle(redGreen1, blue, 0, 21, 2, 3, 22, 5, 6, 23, 8, 9, 24, 11, 12, 25, 14, 15), 16);
    v128.store(out, i8x16.shuffle(redGreen2, blue, 26, 1, 2, 27, 4, 5, 28, 7, 8, 29, 10, 11, 30, 13, 14, 31), 32);
    out += 48;
  }
}

// Pillow's blends of planes in float32 with truncation: with one value (brightness, contrast), or each pixel's luma.
import { floats0, floats1, floats2, floats3, packBytes, truncatedByte } from './lanes';
import { lumaBytes } from './luma';

/** Blends `vectors` × 16 bytes with the value `base`, 0..255: brightness with 0, contrast with the mean luma. */
export function blendWithValue(bytes: usize, vectors: i32, base: f32, factor: f32): void {
  const bases = f32x4.splat(base);
  const factors = f32x4.splat(factor);
  for (let i = 0; i < vectors; i++) {
    const values = v128.load(bytes);
    v128.store(
      bytes,
      packBytes(
        blended(bases, floats0(values), factors),
        blended(bases, floats1(values), factors),
        blended(bases, floats2(values), factors),
        blended(bases, floats3(values), factors),
      ),
    );
    bytes += 16;
  }
}

/** Blends `vectors` × 16 pixels with their luma: saturation. */
export function blendWithLuma(planes: usize, planeBytes: i32, vectors: i32, factor: f32): void {
  const factors = f32x4.splat(factor);
  for (let i = 0; i < vectors; i++) {
    const red = v128.load(planes);
    const green = v128.load(planes + planeBytes);
    const blue = v128.load(planes + 2 * planeBytes);
    const luma = lumaBytes(red, green, blue);
    const luma0 = floats0(luma);
    const luma1 = floats1(luma);
    const luma2 = floats2(luma);
    const luma3 = floats3(luma);
    for (let plane = planes; plane <= planes + 2 * planeBytes; plane += planeBytes) {
      const values = v128.load(plane);
      v128.store(
        plane,
        packBytes(
          blended(luma0, floats0(values), factors),
          blended(luma1, floats1(values), factors),
          blended(luma2, floats2(values), factors),
          blended(luma3, floats3(values), factors),
        ),
      );
    }
    planes += 16;
  }
}

function blended(base: v128, value: v128, factor: v128): v128 {
  return truncatedByte(f32x4.add(base, f32x4.mul(factor, f32x4.sub(value, base))));
}

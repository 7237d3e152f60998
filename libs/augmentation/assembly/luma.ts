// Pillow's luma of planes: ITU-R 601-2 weights in 16-bit fixed point, rounded.
import { packBytes } from './lanes';

// Half the green weight twice over: 38470 itself is no signed 16-bit number.
const redWeight: i32 = 19595;
const halfGreenWeight: i32 = 19235;
const blueWeight: i32 = 7471;
const half: i32 = 0x8000;

/** Luma of sixteen pixels, as bytes. */
export function lumaBytes(red: v128, green: v128, blue: v128): v128 {
  const left = i8x16.shuffle(red, blue, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const right = i8x16.shuffle(red, blue, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  const leftGreen = i8x16.shuffle(green, green, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  const rightGreen = i8x16.shuffle(green, green, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15);
  return packBytes(
    lumaLanes(i16x8.extend_low_i8x16_u(left), i16x8.extend_low_i8x16_u(leftGreen)),
    lumaLanes(i16x8.extend_high_i8x16_u(left), i16x8.extend_high_i8x16_u(leftGreen)),
    lumaLanes(i16x8.extend_low_i8x16_u(right), i16x8.extend_low_i8x16_u(rightGreen)),
    lumaLanes(i16x8.extend_high_i8x16_u(right), i16x8.extend_high_i8x16_u(rightGreen)),
  );
}

/** Luma of four pixels from (red, blue) and (green, green) as int16 lanes. */
function lumaLanes(redBlue: v128, greens: v128): v128 {
  const weightsRedBlue = i32x4.splat(redWeight | (blueWeight << 16));
  const weightsGreen = i32x4.splat(halfGreenWeight | (halfGreenWeight << 16));
  const sum = i32x4.add(i32x4.dot_i16x8_s(redBlue, weightsRedBlue), i32x4.dot_i16x8_s(greens, weightsGreen));
  return i32x4.shr_u(i32x4.add(sum, i32x4.splat(half)), 16);
}

/** Sum of the luma of `vectors` × 16 pixels, at most 2^24 of them. */
export function lumaSum(planes: usize, planeBytes: i32, vectors: i32): f64 {
  let sums = i32x4.splat(0);
  for (let i = 0; i < vectors; i++) {
    const luma = lumaBytes(v128.load(planes), v128.load(planes + planeBytes), v128.load(planes + 2 * planeBytes));
    sums = i32x4.add(sums, i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(luma)));
    planes += 16;
  }
  return (
    <f64>i32x4.extract_lane(sums, 0) +
    <f64>i32x4.extract_lane(sums, 1) +
    <f64>i32x4.extract_lane(sums, 2) +
    <f64>i32x4.extract_lane(sums, 3)
  );
}

/** Replaces `vectors` × 16 pixels by their luma in all three planes. */
export function turnGray(planes: usize, planeBytes: i32, vectors: i32): void {
  for (let i = 0; i < vectors; i++) {
    const luma = lumaBytes(v128.load(planes), v128.load(planes + planeBytes), v128.load(planes + 2 * planeBytes));
    v128.store(planes, luma);
    v128.store(planes + planeBytes, luma);
    v128.store(planes + 2 * planeBytes, luma);
    planes += 16;
  }
}

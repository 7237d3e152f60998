// Pillow's hue shift of planes, through 8-bit HSV, in integers and float32 where these give what its C code gives.
//
// Its float32 and double chain differs from the exact quotient in no saturation byte and in no byte of the way back; of
// the hue bytes, it differs only where the quotient is a whole number, and there depends on that number alone
// (`fallsShort`). src/view-kernels.spec.ts compares every colour with the portable code.
import { floats0, floats1, floats2, floats3, nearestByte, packBytes, packMasks } from './lanes';

/** Adds `shift` (0..255) to the hue byte of `vectors` × 16 pixels. */
export function shiftHue(planes: usize, planeBytes: i32, vectors: i32, shift: i32): void {
  const shifts = i8x16.splat(<i8>shift);
  for (let i = 0; i < vectors; i++) {
    const red = v128.load(planes);
    const green = v128.load(planes + planeBytes);
    const blue = v128.load(planes + 2 * planeBytes);
    const value = i8x16.max_u(red, i8x16.max_u(green, blue));
    const chroma = i8x16.sub(value, i8x16.min_u(red, i8x16.min_u(green, blue)));
    const hue = i8x16.add(hueBytes(red, green, blue, value, chroma), shifts);
    storeShifted(planes, planeBytes, hue, saturationBytes(chroma, value), value);
    planes += 16;
  }
}

/** Hue byte of sixteen pixels: 42.5 a sixth of the circle, rounded down. */
function hueBytes(red: v128, green: v128, blue: v128, value: v128, chroma: v128): v128 {
  // Where channels tie for largest, red goes before green and green before blue.
  const isRed = i8x16.eq(red, value);
  const isGreen = v128.andnot(i8x16.eq(green, value), isRed);
  const low = hueNumerators(
    i16x8.extend_low_i8x16_u(red),
    i16x8.extend_low_i8x16_u(green),
    i16x8.extend_low_i8x16_u(blue),
    i16x8.extend_low_i8x16_u(chroma),
    i16x8.extend_low_i8x16_s(isRed),
    i16x8.extend_low_i8x16_s(isGreen),
  );
  const high = hueNumerators(
    i16x8.extend_high_i8x16_u(red),
    i16x8.extend_high_i8x16_u(green),
    i16x8.extend_high_i8x16_u(blue),
    i16x8.extend_high_i8x16_u(chroma),
    i16x8.extend_high_i8x16_s(isRed),
    i16x8.extend_high_i8x16_s(isGreen),
  );
  const divisor = i8x16.max_u(chroma, i8x16.splat(1));
  const quotient0 = hueQuotient(i32x4.extend_low_i16x8_u(low), floats0(divisor));
  const quotient1 = hueQuotient(i32x4.extend_high_i16x8_u(low), floats1(divisor));
  const quotient2 = hueQuotient(i32x4.extend_low_i16x8_u(high), floats2(divisor));
  const quotient3 = hueQuotient(i32x4.extend_high_i16x8_u(high), floats3(divisor));
  const floor0 = f32x4.floor(quotient0);
  const floor1 = f32x4.floor(quotient1);
  const floor2 = f32x4.floor(quotient2);
  const floor3 = f32x4.floor(quotient3);
  const hue = packBytes(nearestByte(floor0), nearestByte(floor1), nearestByte(floor2), nearestByte(floor3));
  const whole = packMasks(
    f32x4.eq(quotient0, floor0),
    f32x4.eq(quotient1, floor1),
    f32x4.eq(quotient2, floor2),
    f32x4.eq(quotient3, floor3),
  );
  return i8x16.add(hue, v128.and(whole, fallsShort(hue)));
}

/** Hue in sixths of the circle times chroma, in [0, 6 · chroma), for eight pixels as int16 lanes. */
function hueNumerators(red: v128, green: v128, blue: v128, chroma: v128, isRed: v128, isGreen: v128): v128 {
  const twice = i16x8.shl(chroma, 1);
  const fromGreen = i16x8.add(twice, i16x8.sub(blue, red));
  const fromBlue = i16x8.add(i16x8.shl(chroma, 2), i16x8.sub(red, green));
  const others = v128.bitselect(fromGreen, fromBlue, isGreen);
  const turned = v128.bitselect(i16x8.sub(green, blue), others, isRed);
  const circle = i16x8.add(twice, i16x8.shl(chroma, 2));
  return i16x8.add(turned, v128.and(circle, i16x8.shr_s(turned, 15)));
}

function hueQuotient(numerator: v128, chroma: v128): v128 {
  return f32x4.div(f32x4.mul(f32x4.convert_i32x4_s(numerator), f32x4.splat(42.5)), chroma);
}

/**
 * -1 for the hue bytes whose whole quotient Pillow's float32 chain puts a rounding below the whole number, so that
 * truncation loses one: a set of 256 bits, byte n >> 3, bit n & 7.
 */
function fallsShort(hue: v128): v128 {
  const index = i8x16.shr_u(hue, 3);
  const first = i8x16(-2, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 17, 17, 1, 0, 0);
  const second = i8x16(-86, -86, 42, 34, 34, 34, 35, 35, 34, 34, 2, 0, 0, 0, 0, 0);
  const bits = v128.or(i8x16.swizzle(first, index), i8x16.swizzle(second, i8x16.sub(index, i8x16.splat(16))));
  const bit = i8x16.swizzle(i8x16(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0), v128.and(hue, i8x16.splat(7)));
  return i8x16.ne(v128.and(bits, bit), i8x16.splat(0));
}

/** Saturation byte of sixteen pixels: chroma / value in steps of 1/255, rounded down; 0 for black. */
function saturationBytes(chroma: v128, value: v128): v128 {
  const divisor = i8x16.max_u(value, i8x16.splat(1));
  return packBytes(
    saturationLanes(floats0(chroma), floats0(divisor)),
    saturationLanes(floats1(chroma), floats1(divisor)),
    saturationLanes(floats2(chroma), floats2(divisor)),
    saturationLanes(floats3(chroma), floats3(divisor)),
  );
}

function saturationLanes(chroma: v128, value: v128): v128 {
  return nearestByte(f32x4.floor(f32x4.div(f32x4.mul(chroma, f32x4.splat(255)), value)));
}

/** Writes sixteen pixels of a hue, a saturation and a value. */
function storeShifted(planes: usize, planeBytes: i32, hue: v128, saturation: v128, value: v128): void {
  const sixth = sixthOfCircle(hue);
  // Place within the sixth, in 85ths: 2 · hue - 85 · sixth. Even sixths rise with it, odd ones fall.
  const begin = i8x16.swizzle(i8x16(0, 85, -86, -1, 84, -87, -2, 0, 0, 0, 0, 0, 0, 0, 0, 0), sixth);
  const place = i8x16.sub(i8x16.add(hue, hue), begin);
  const isOdd = i8x16.swizzle(i8x16(0, -1, 0, -1, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), sixth);
  const share = v128.bitselect(place, i8x16.sub(i8x16.splat(85), place), isOdd);
  const between = betweenBytes(value, saturation, share);
  const lowest = lowestBytes(value, saturation);

  // Sixths 0 to 5: (value, between, lowest), (b, v, l), (l, v, b), (l, b, v), (b, l, v), (v, l, b); sixth 6 is 0 again.
  const redIsValue = i8x16.swizzle(i8x16(-1, 0, 0, 0, 0, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0), sixth);
  const greenIsValue = i8x16.swizzle(i8x16(0, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), sixth);
  const blueIsValue = i8x16.swizzle(i8x16(0, 0, 0, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), sixth);
  const redIsLowest = i8x16.swizzle(i8x16(0, 0, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), sixth);
  const greenIsLowest = i8x16.swizzle(i8x16(0, 0, 0, 0, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), sixth);
  const blueIsLowest = i8x16.swizzle(i8x16(-1, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0), sixth);
  v128.store(planes, chosen(value, lowest, between, redIsValue, redIsLowest));
  v128.store(planes + planeBytes, chosen(value, lowest, between, greenIsValue, greenIsLowest));
  v128.store(planes + 2 * planeBytes, chosen(value, lowest, between, blueIsValue, blueIsLowest));
}

/** floor(hue / 42.5), 0 to 6, of sixteen hue bytes. */
function sixthOfCircle(hue: v128): v128 {
  const past1 = i8x16.ge_u(hue, i8x16.splat(43));
  const past2 = i8x16.ge_u(hue, i8x16.splat(85));
  const past3 = i8x16.ge_u(hue, i8x16.splat(-128));
  const past4 = i8x16.ge_u(hue, i8x16.splat(-86));
  const past5 = i8x16.ge_u(hue, i8x16.splat(-43));
  const past6 = i8x16.eq(hue, i8x16.splat(-1));
  const passed = i8x16.add(i8x16.add(past1, past2), i8x16.add(i8x16.add(past3, past4), i8x16.add(past5, past6)));
  return i8x16.neg(passed);
}

/** value · (1 - saturation / 255 · share / 85), rounded; no exact result lies near enough to a half to matter. */
function betweenBytes(value: v128, saturation: v128, share: v128): v128 {
  const kept0 = i16x8.sub(i16x8.splat(21675), i16x8.extmul_low_i8x16_u(saturation, share));
  const kept1 = i16x8.sub(i16x8.splat(21675), i16x8.extmul_high_i8x16_u(saturation, share));
  const value0 = i16x8.extend_low_i8x16_u(value);
  const value1 = i16x8.extend_high_i8x16_u(value);
  return packBytes(
    of21675(i32x4.extmul_low_i16x8_u(value0, kept0)),
    of21675(i32x4.extmul_high_i16x8_u(value0, kept0)),
    of21675(i32x4.extmul_low_i16x8_u(value1, kept1)),
    of21675(i32x4.extmul_high_i16x8_u(value1, kept1)),
  );
}

function of21675(product: v128): v128 {
  return nearestByte(f32x4.mul(f32x4.convert_i32x4_s(product), f32x4.splat(1.0 / 21675.0)));
}

/** value · (255 - saturation) / 255, rounded; never a half. */
function lowestBytes(value: v128, saturation: v128): v128 {
  const kept = v128.not(saturation);
  return i8x16.narrow_i16x8_u(
    of255(i16x8.extmul_low_i8x16_u(value, kept)),
    of255(i16x8.extmul_high_i8x16_u(value, kept)),
  );
}

/** Nearest integer to a 255th of a product of two bytes, exactly. */
function of255(product: v128): v128 {
  const raised = i16x8.add(product, i16x8.splat(128));
  return i16x8.shr_u(i16x8.add(raised, i16x8.shr_u(raised, 8)), 8);
}

function chosen(value: v128, lowest: v128, between: v128, isValue: v128, isLowest: v128): v128 {
  return v128.bitselect(value, v128.bitselect(lowest, between, isLowest), isValue);
}

// Sixteen bytes as four vectors of four float32 lanes each, and back: the arithmetic in between is Pillow's.

// Adding 2^23 to a float32 in [0, 2^23) leaves its nearest integer in the low bits.
const integerBits: f32 = 8388608.0;

/** Lanes 0..3 of sixteen bytes, as float32. */
export function floats0(bytes: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes)));
}

/** Lanes 4..7 of sixteen bytes, as float32. */
export function floats1(bytes: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(i16x8.extend_low_i8x16_u(bytes)));
}

/** Lanes 8..11 of sixteen bytes, as float32. */
export function floats2(bytes: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(i16x8.extend_high_i8x16_u(bytes)));
}

/** Lanes 12..15 of sixteen bytes, as float32. */
export function floats3(bytes: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(i16x8.extend_high_i8x16_u(bytes)));
}

/** Float32 lanes in 0..255, rounded to the nearest byte (ties to even), as int32 lanes. */
export function nearestByte(lanes: v128): v128 {
  return v128.and(f32x4.add(lanes, f32x4.splat(integerBits)), i32x4.splat(0xff));
}

/** Float32 lanes, towards zero into 0..255, as int32 lanes. */
export function truncatedByte(lanes: v128): v128 {
  const clipped = f32x4.pmin(f32x4.pmax(lanes, f32x4.splat(0)), f32x4.splat(255));
  return nearestByte(f32x4.floor(clipped));
}

/** Four vectors of int32 lanes in 0..255, as sixteen bytes. */
export function packBytes(lanes0: v128, lanes1: v128, lanes2: v128, lanes3: v128): v128 {
  return i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(lanes0, lanes1), i16x8.narrow_i32x4_s(lanes2, lanes3));
}

/** Four vectors of int32 masks (0 or -1), as sixteen byte masks. */
export function packMasks(lanes0: v128, lanes1: v128, lanes2: v128, lanes3: v128): v128 {
  return i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(lanes0, lanes1), i16x8.narrow_i32x4_s(lanes2, lanes3));
}

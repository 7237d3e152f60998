// WebAssembly SIMD kernels of a view: resize, colour jitter and grayscale, bit for bit what src/ does portably.
export { blendWithLuma, blendWithValue } from './blend';
export { shiftHue } from './hue';
export { lumaSum, turnGray } from './luma';
export { mergeChannels, splitChannels } from './planes';
export { resizeColumns, resizeRows } from './resize';

/** First byte of memory that is free for the caller. */
export function freeMemory(): usize {
  return __heap_base;
}

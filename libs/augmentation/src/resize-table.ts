// Resize weights as the kernels read them: taps in pairs, each weight split into two numbers of 11 bits.
import type { ResizeCoefficients } from './resize-coefficients.js';

const lowBits = 11;
const lowMask = (1 << lowBits) - 1;

/** Weights of one axis for assembly/resize.ts. */
export interface ResizeTable {
  /** Pairs of input positions that each output takes. */
  readonly pairs: number;
  /**
   * For each output 1 + 2 · pairs words: first input position; then for each pair the upper halves of its two weights,
   * and the lower halves, as two 16-bit numbers each.
   */
  readonly words: Int32Array;
}

/** Lays out weights, the last output first when `mirrored`; outputs of weight 0 fill up to a multiple of 4. */
export function resizeTable({ starts, counts, weights, taps }: ResizeCoefficients, mirrored: boolean): ResizeTable {
  const outputs = starts.length;
  const pairs = Math.ceil(counts.reduce((most, count) => Math.max(most, count), 1) / 2);
  const entryWords = 1 + 2 * pairs;
  const words = new Int32Array(Math.ceil(outputs / 4) * 4 * entryWords);
  for (let output = 0; output < outputs; output++) {
    const from = mirrored ? outputs - 1 - output : output;
    const weight = (tap: number): number => (tap < counts[from]! ? weights[from * taps + tap]! : 0);
    let at = output * entryWords;
    words[at++] = starts[from]!;
    for (let tap = 0; tap < 2 * pairs; tap += 2) {
      const [first, second] = [weight(tap), weight(tap + 1)];
      words[at++] = (first >> lowBits) | ((second >> lowBits) << 16);
      words[at++] = (first & lowMask) | ((second & lowMask) << 16);
    }
  }
  return { pairs, words };
}

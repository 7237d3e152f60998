// From pixels to network input: x/255, minus mean, over standard deviation, per channel.
import * as tf from '@tensorflow/tfjs-core';
import { invalidField } from '@kindred/errors';

/** Per-channel constants of the input normalisation, in red, green, blue order, for values in 0..1. */
export interface Normalisation {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/**
 * Normalises pixels in torchvision's order of operations (ToTensor, Normalize), each rounded to float32.
 *
 * @param pixels float32 `[n, h, w, 3]`, whole numbers from 0 to 255.
 */
export function normalisePixels(pixels: tf.Tensor4D, { mean, std }: Normalisation): tf.Tensor4D {
  return tf.tidy(() => {
    // By reciprocals: TensorFlow's graph optimizer turns divisions by constants into them, and then the last bits of a recorded
    // step would differ from those of the eager one.
    const unit = tf.mul(pixels, tf.scalar(1 / 255));
    return tf.mul(tf.sub(unit, tf.tensor1d([...mean])), tf.tensor1d(std.map((deviation) => 1 / deviation)));
  });
}

/** Checks that both lists hold three finite numbers and that no deviation is 0. */
export function checkNormalisation({ mean, std }: Normalisation): void {
  for (const [field, values] of Object.entries({ mean, std })) {
    if (values.length !== 3 || values.some((value) => !Number.isFinite(value))) {
      throw invalidField(`normalisation.${field}`, `got [${values.join(', ')}]; allowed: three finite numbers`);
    }
  }
  if (std.some((value) => value <= 0)) {
    throw invalidField('normalisation.std', `got [${std.join(', ')}]; allowed: numbers above 0`);
  }
}

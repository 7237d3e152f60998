// SimCLR's contrastive loss (Chen et al. 2020, eq. 1) in the form that SCAN's reference uses.
import * as tf from '@tensorflow/tfjs-core';

/**
 * Mean over images i of −log( exp(a_i·p_i/τ) / Σ_{k≠i} exp(a_i·f_k/τ) ). The anchors a are the first views only; each is
 * contrasted with all 2b features f (all first views, then all second ones), its own position left out, and p_i is the
 * second view of its image. Each row's largest logit, its own included, is subtracted first, as a constant.
 *
 * @param features L2-normalised embeddings `[b, 2, d]`: image, view, feature. b must be at least 2.
 * @param temperature τ; 0.1 in SCAN's pretext configurations.
 * @returns a scalar, differentiable in `features`.
 */
export function simclrLoss(features: tf.Tensor3D, temperature: number): tf.Scalar {
  return tf.tidy(() => {
    const [first, second] = tf.unstack(features, 1) as [tf.Tensor2D, tf.Tensor2D];
    const images = features.shape[0];
    const contrasts = tf.concat([first, second], 0);
    const similarities = tf.mul(tf.matMul(first, contrasts, false, true), tf.scalar(1 / temperature));
    const logits = tf.sub(similarities, detachedRowMaximum(similarities as tf.Tensor2D));
    // tf.eye is a constant made in JavaScript; a comparison of ranges is made by the backend, also inside a traced graph.
    const rows = tf.expandDims(tf.range(0, images, 1, 'float32'), 1);
    const columns = tf.expandDims(tf.range(0, 2 * images, 1, 'float32'), 0);
    const others = tf.cast(tf.notEqual(columns, rows), 'float32');
    const positives = tf.cast(tf.equal(columns, tf.add(rows, tf.scalar(images))), 'float32');
    const logSums = tf.log(tf.sum(tf.mul(tf.exp(logits), others), 1));
    const positiveLogits = tf.sum(tf.mul(logits, positives), 1);
    return tf.mean(tf.sub(logSums, positiveLogits));
  });
}

/** Largest value of each row, through which no gradient flows. */
function detachedRowMaximum(x: tf.Tensor2D): tf.Tensor {
  const detached = tf.customGrad((input) => ({
    value: tf.max(input as tf.Tensor, 1, true),
    gradFunc: () => tf.zerosLike(input as tf.Tensor),
  }));
  return detached(x);
}

// SCAN's clustering loss (Van Gansbeke et al. 2020, §2.2, eq. 2): neighbours agree, clusters are all used.
import * as tf from '@tensorflow/tfjs-core';

/** The parts of SCAN's loss, each a scalar. */
export interface ScanLoss {
  /** consistency − entropyWeight·entropy. */
  readonly total: tf.Scalar;
  /** Mean of −log⟨p_anchor, p_neighbour⟩; a log is cut at −100, as in PyTorch's BCELoss. */
  readonly consistency: tf.Scalar;
  /** Entropy of the anchors' mean probability, at most log(classes). */
  readonly entropy: tf.Scalar;
}

const smallestProbability = 1e-8;
const smallestLog = -100;

/**
 * SCAN's loss of two batches of logits `[b, classes]`, an image's and its neighbour's in the same row. Nothing in the
 * product trains by it yet: it is here for the clustering step, whose place is after neighbour mining.
 *
 * @param entropyWeight λ of eq. 2; 5 in SCAN's configurations. @default 2
 */
export function scanLoss(anchors: tf.Tensor2D, neighbors: tf.Tensor2D, entropyWeight = 2): ScanLoss {
  const probabilities = tf.softmax(anchors);
  const similarity = tf.sum(tf.mul(probabilities, tf.softmax(neighbors)), 1);
  const consistency = tf.neg(tf.mean(tf.maximum(tf.log(similarity), tf.scalar(smallestLog)))) as tf.Scalar;
  const mean = tf.maximum(tf.mean(probabilities, 0), tf.scalar(smallestProbability));
  const entropy = tf.neg(tf.sum(tf.mul(mean, tf.log(mean)))) as tf.Scalar;
  const total = tf.sub(consistency, tf.mul(entropy, tf.scalar(entropyWeight))) as tf.Scalar;
  return { total, consistency, entropy };
}

// How an operation with a gradient of its own is written down for tfjs, and the attributes that most have.
import type * as tf from '@tensorflow/tfjs-core';
import { attribute } from './native.js';
import type { OpAttribute } from './native.js';

/** Runs one operation of TensorFlow that has one output. */
export type Execute = (op: string, attributes: readonly OpAttribute[], inputs: readonly tf.Tensor[]) => tf.Tensor;

/** Keeps tensors of the forward pass for the gradient (`save` of `tf.customGrad`). */
export type GradSave = (tensors: tf.Tensor[]) => void;

/** What a function given to `tf.customGrad` returns. */
export type WithGradient = { value: tf.Tensor; gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor[] };

/** Attribute: values are float32. */
export const float = attribute.type('T', 'float32');

/** Attribute: feature maps are `[n, height, width, channels]`. */
export const layout = attribute.string('data_format', 'NHWC');

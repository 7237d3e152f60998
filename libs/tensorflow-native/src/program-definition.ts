// What a program to be compiled is: functions over shared state, as plain data.
import type * as tf from '@tensorflow/tfjs-core';
import type { Precision } from './mixed-precision.js';
import type { DataType } from './native.js';

/** Shape and type of an input. A size of -1 may differ from run to run. */
export interface InputDefinition {
  readonly dtype: DataType;
  readonly shape: readonly number[];
}

/** The momentum update of one variable, done in place: buffer ← momentum·buffer + gradient; variable ← variable − rate·buffer. */
export interface MomentumUpdate {
  readonly variable: string;
  readonly buffer: string;
  readonly gradient: tf.Tensor;
  readonly rate: tf.Scalar;
  readonly momentum: number;
  readonly nesterov: boolean;
}

/** What a function to be compiled gives back. */
export interface FunctionResult {
  readonly outputs: Readonly<Record<string, tf.Tensor>>;
  /** New values of state variables. */
  readonly updates?: Readonly<Record<string, tf.Tensor>>;
  readonly momentumUpdates?: readonly MomentumUpdate[];
}

/** A function to be compiled. `call` runs twice when the program is compiled, on tensors that have shapes and no values, to be recorded. */
export interface FunctionDefinition {
  /** What the network's operations in it compute in; inputs, state and outputs are as declared. @default 'float32' */
  readonly precision?: Precision;
  readonly inputs: Readonly<Record<string, InputDefinition>>;
  /**
   * An input without free sizes whose value can be handed in with the call before, to be on its way to the device while that
   * call computes. @default none
   */
  readonly ahead?: string;
  readonly call: (
    state: Readonly<Record<string, tf.Tensor>>,
    inputs: Readonly<Record<string, tf.Tensor>>,
  ) => FunctionResult;
}

/** A constant tensor of float32 values. */
export interface FrozenValues {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Functions that share float32 state. */
export interface ProgramDefinition {
  /** Shape of each state variable. */
  readonly state: Readonly<Record<string, readonly number[]>>;
  /** Values that never change, handed to functions beside the state: constants of the graph, of any size. @default none */
  readonly frozen?: Readonly<Record<string, FrozenValues>>;
  readonly functions: Readonly<Record<string, FunctionDefinition>>;
}

// The TensorFlow runtime in Node: the native addon, its faster operations, training and embedding as compiled graphs.
export { loadTensorFlow } from './runtime.js';
export type { TensorFlowOptions, TensorFlowRuntime } from './runtime.js';
export { createTrainer } from './trainer.js';
export type { Trainer, TrainerOptions, TrainerState } from './trainer.js';
export type { Precision } from './mixed-precision.js';
export { createEncoder } from './encoder.js';
export type { Encoder, EncoderOptions } from './encoder.js';
export { createFrozenEncoder } from './frozen-encoder.js';
export type { FrozenEncoder, FrozenEncoderOptions } from './frozen-encoder.js';
export { createNeighbourSearch } from './neighbour-search.js';
export type { NeighbourQuery, NeighbourSearch } from './neighbour-search.js';
export type { Embeddings } from './embedding-function.js';
export { compile } from './compile.js';
export type { CompiledFunction, CompiledProgram, OutputValue } from './compile.js';
export type {
  FrozenValues,
  FunctionDefinition,
  FunctionResult,
  InputDefinition,
  MomentumUpdate,
  ProgramDefinition,
} from './program-definition.js';

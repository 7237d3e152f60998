// Models as other tools write and read them: PyTorch, TensorFlow, ONNX.

// Out
export { toSavedModel } from './tensorflow-model.js';
export { toOnnxModel } from './onnx-network.js';
export { toPytorchCheckpoint, toPytorchModel } from './pytorch-model.js';
export type { SgdSettings } from './pytorch-model.js';
export { readTrainingState } from './training-state.js';
export type { TrainingState } from './training-state.js';

// In
export { importModel } from './model-import.js';
export type { ImportSettings, ModelImport } from './model-import.js';

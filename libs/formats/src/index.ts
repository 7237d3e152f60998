// File formats, as pure functions over bytes: .npy, safetensors, TensorBoard's event files, SavedModel, ONNX, PyTorch checkpoints.

// Tensors
export {
  bytesPerElement,
  elementCount,
  halfToNumber,
  isTensorDtype,
  tensor,
  tensorDtypes,
  toFloat32,
} from './tensor.js';
export type { NamedTensors, Tensor, TensorDataByDtype, TensorDtype } from './tensor.js';

// NumPy
export { decodeNpy, decodeNpyAs, encodeNpy, encodeNpyHeader } from './npy.js';
export type { NpyArray, NpyDataByDtype, NpyDtype } from './npy.js';

// safetensors
export { decodeSafetensors, encodeSafetensors } from './safetensors.js';
export type { SafetensorsContent } from './safetensors.js';

// TensorBoard
export { decodeEventFile, encodeEventFile } from './event-file.js';
export type { ScalarEvent } from './event-file.js';

// Graphs
export { encodeSavedModel, graphAttributeTypes, graphDataTypes } from './saved-model.js';
export type {
  GraphAttribute,
  GraphConstant,
  GraphNode,
  GraphSignature,
  GraphTensor,
  SavedModel,
} from './saved-model.js';
export { encodeOnnxModel, onnxDataTypes } from './onnx-model.js';
export type { OnnxAttributeValue, OnnxDataType, OnnxModel, OnnxNode, OnnxTensor, OnnxValue } from './onnx-model.js';

// PyTorch
export {
  readPytorchCheckpoint,
  readPytorchFile,
  writePytorchCheckpoint,
  writePytorchFile,
} from './pytorch-checkpoint.js';
export type { PytorchCheckpoint } from './pytorch-checkpoint.js';
export { isTensor } from './pickle-value.js';
export type { PickleFloat, PickleKey, PickleValue } from './pickle-value.js';
export { sgdFromStateDict, sgdToStateDict } from './sgd-state.js';
export type { SgdState } from './sgd-state.js';

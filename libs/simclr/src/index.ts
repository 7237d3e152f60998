// SimCLR as mathematics: the network, its losses, its optimizer, its schedules; on any tfjs backend.

// What a network is
export { backboneDim, createArchitecture, defaultArchitecture } from './architecture.js';
export type { Architecture, BackboneForm, HeadKind } from './architecture.js';
export { checkStateDict, modelSpecification, parameterSize } from './specification.js';
export type { ParameterKind, ParameterSpecification, StateDict } from './specification.js';
export { initialMomentum, initialParameters } from './initialisation.js';
export { tensorFlowShape, toPyTorchLayout, toTensorFlowLayout } from './layout.js';

// Running it
export { checkImageSize, finalMapSide, firstMapSide, forward, onlyImageSide } from './network.js';
export type { ForwardOptions, ForwardResult, ParameterTensors } from './network.js';
export { batchNormEpsilon, batchNormMomentum, portableOperations } from './operations.js';
export type { NetworkOperations, NormResult, NormTensors } from './operations.js';
export { checkNormalisation, normalisePixels } from './normalisation.js';
export type { Normalisation } from './normalisation.js';

// Training it
export { simclrLoss } from './losses/simclr-loss.js';
export { simclrLossGradient } from './losses/simclr-loss-gradient.js';
export type { LossGradient } from './losses/simclr-loss-gradient.js';
export { scanLoss } from './losses/scan-loss.js';
export type { ScanLoss } from './losses/scan-loss.js';
export { selfLabelLoss } from './losses/self-label-loss.js';
export type { SelfLabelOptions } from './losses/self-label-loss.js';
export { resolveSgdOptions, sgdUpdate } from './sgd.js';
export type { ResolvedSgdOptions, SgdOptions } from './sgd.js';
export { larsAdapts, larsGradient, larsUpdate, resolveLarsOptions } from './lars.js';
export type { LarsOptions, ResolvedLarsOptions } from './lars.js';
export { momentumGradient, resolveOptimizer } from './optimizer.js';
export type { OptimizerOptions, ResolvedOptimizer } from './optimizer.js';
export { learningRate } from './schedules.js';
export type { LearningRateSchedule, WarmUp } from './schedules.js';

// Keeping it
export { decodeModelFile, encodeModelFile, namedTensors } from './model-file.js';
export type { ModelFile } from './model-file.js';

// The thread that turns models from one format into others: seconds of work for the paper's network, and a library that other commands need not load.
import {
  importModel,
  readTrainingState,
  toOnnxModel,
  toPytorchCheckpoint,
  toPytorchModel,
  toSavedModel,
} from '@kindred/model-exchange';
import type { ImportSettings, SgdSettings } from '@kindred/model-exchange';
import { createArchitecture, decodeModelFile, encodeModelFile, type Architecture } from '@kindred/simclr';
import { workerTask } from '@kindred/workers';

/** Files of other tools that are made of a model file. */
export type ModelFormat = 'pytorch' | 'tensorflow' | 'onnx';

/** A model file, to be written as another. */
export interface ConvertRequest {
  readonly file: Uint8Array;
  readonly format: ModelFormat;
}

/** What a model file says of its model. */
export interface ModelFacts {
  readonly architecture: Architecture;
  readonly normalisation: { readonly mean: readonly number[]; readonly std: readonly number[] };
  readonly cropSize: number;
  readonly origin: Readonly<Record<string, string>>;
}

/** The trainer's checkpoint, to be written as the reference's. */
export interface CheckpointRequest {
  readonly checkpoint: Uint8Array;
  readonly name: string;
  readonly architecture: Architecture;
  /** Null leaves the optimizer out. */
  readonly sgd: SgdSettings | null;
}

/** A file of others, to be read as a model. */
export interface ImportRequest {
  readonly file: Uint8Array;
  readonly name: string;
  readonly settings: ImportSettings;
}

/** A model that was read. */
export interface ImportResult extends ModelFacts {
  /** As a model file of ours. */
  readonly file: Uint8Array;
  readonly format: string;
  readonly leftOut: readonly string[];
}

const writers: Record<ModelFormat, (file: Uint8Array) => Uint8Array> = {
  pytorch: (file) => toPytorchModel(decodeModelFile(file)),
  tensorflow: (file) => toSavedModel(decodeModelFile(file)),
  onnx: (file) => toOnnxModel(decodeModelFile(file)),
};

/** Describes a model file. Errors as `decodeModelFile`. */
export const describe = workerTask((file: Uint8Array): ModelFacts => {
  const { architecture, normalisation, cropSize, origin } = decodeModelFile(file);
  return { architecture, normalisation, cropSize, origin };
});

/** Writes a model in another format. */
export const convert = workerTask(({ file, format }: ConvertRequest): Uint8Array => writers[format](file), moved);

/** Writes a checkpoint as the reference's. */
export const checkpoint = workerTask(
  ({ checkpoint: bytes, name, architecture, sgd }: CheckpointRequest): Uint8Array =>
    toPytorchCheckpoint(createArchitecture(architecture), readTrainingState(bytes, name), sgd),
  moved,
);

/** Reads a model of others. Errors as `importModel`. */
export const read = workerTask(
  ({ file, name, settings }: ImportRequest): ImportResult => {
    const { model, format, leftOut } = importModel(file, name, settings);
    const { architecture, normalisation, cropSize, origin } = model;
    return { architecture, normalisation, cropSize, origin, file: encodeModelFile(model), format, leftOut };
  },
  ({ file }) => moved(file),
);

function moved(bytes: Uint8Array): ArrayBuffer[] {
  return bytes.byteLength === bytes.buffer.byteLength ? [bytes.buffer as ArrayBuffer] : [];
}

// Open Inference Protocol v2 ↔ domain: tensors to images, vectors to tensors.
import { invalidField } from '@kindred/errors';
import type {
  InferParameter,
  ModelInferRequest,
  ModelInferResponse,
  ModelMetadataResponse,
} from '@kindred/protocol/inference';
import { bytesOf } from '@kindred/service-runtime';
import type { EmbedImagesResult, FeatureKind } from './embed-images.js';
import type { ImageBatch, ImageName } from './images/image-batch.js';
import type { ModelDescription } from './models/served-models.js';
import { microseconds, modelFromWire } from './wire.js';

type InputTensor = ModelInferRequest['inputs'][number];

/**
 * A reference of ours from a name and a version of the protocol's; an empty version is what the name stands for.
 * @throws KindredError INVALID_ARGUMENT, by the name's `field`, where it is empty.
 */
export function referenceFrom(name: string, version: string, field = 'name'): string {
  return version === '' ? modelFromWire(name, field) : `${modelFromWire(name, field)}@${version}`;
}

/**
 * The images of a request's one input: `image` (UINT8 [n, height, width, 3]) or `encoded` (BYTES [n]).
 * @throws KindredError INVALID_ARGUMENT for another input, type or shape, or contents that do not fit it.
 */
export function imageBatchFromTensors({ inputs, rawInputContents }: ModelInferRequest): ImageBatch {
  const [input] = inputs;
  if (inputs.length !== 1 || input === undefined) {
    throw invalidField('inputs', `got ${inputs.length} inputs; allowed: exactly one, 'image' or 'encoded'`);
  }
  const shape = input.shape.map(Number);
  const raw = rawInputContents[0];
  const { uintContents = [], bytesContents = [] } = input.contents ?? {};
  switch (input.name) {
    case 'image': {
      requireType(input, 'UINT8', raw !== undefined);
      const [count = 0, height = 0, width = 0, channels = 0] = shape;
      if (shape.length !== 4 || channels !== 3)
        throw invalidField('inputs[0].shape', `got [${shape.join(', ')}]; allowed: [n, height, width, 3]`);
      const values = contentsField(ownContents.UINT8);
      const beyond = uintContents.find((value) => value > 255);
      if (beyond !== undefined) throw invalidField(values, `got ${beyond}; allowed: 0 to 255`);
      const pixels = raw ?? Uint8Array.from(uintContents);
      const [ofShape, ofPixels] = ['inputs[0].shape', raw === undefined ? values : 'raw_input_contents[0]'];
      const fields = { count: ofShape, height: ofShape, width: ofShape, pixels: ofPixels };
      return { kind: 'raw', pixels, count, height, width, fields };
    }
    case 'encoded': {
      requireType(input, 'BYTES', raw !== undefined);
      const images = raw === undefined ? bytesContents : splitBytes(raw);
      const count = shape.reduce((product, size) => product * size, 1);
      if (shape.length === 0 || shape.some((size) => size < 0) || count !== images.length)
        throw invalidField('inputs[0].shape', `got [${shape.join(', ')}] with ${images.length} values; allowed: [n]`);
      // A position behind the input's own would read as a place in the protocol's message, which it is not where values are raw.
      const nameOf = (index: number): ImageName => ({ field: 'inputs[0]', which: `image ${index} of the batch: ` });
      return { kind: 'encoded', images, field: 'inputs[0]', nameOf };
    }
    default:
      throw invalidField('inputs[0].name', `got '${input.name}'; allowed: image, encoded`);
  }
}

/**
 * The kinds of vector that a request asks for; the embedding where it asks for none.
 * @throws KindredError INVALID_ARGUMENT for another output.
 */
export function featureKindsFrom({ outputs }: ModelInferRequest): FeatureKind[] {
  if (outputs.length === 0) return ['embedding'];
  return outputs.map(({ name }, i) => {
    if (name === 'embedding' || name === 'backbone') return name;
    throw invalidField(`outputs[${i}].name`, `got '${name}'; allowed: embedding, backbone`);
  });
}

/** A response: one output a kind, in the order that they were asked for. */
export function inferResponse(id: string, result: EmbedImagesResult): ModelInferResponse {
  const { model, version, count, tables, queueMs, preprocessMs, inferenceMs } = result;
  const time = (milliseconds: number): InferParameter => ({
    parameterChoice: { $case: 'int64Param', value: microseconds(milliseconds) },
  });
  return {
    modelName: model,
    modelVersion: version,
    id,
    parameters: { queue_us: time(queueMs), preprocess_us: time(preprocessMs), inference_us: time(inferenceMs) },
    outputs: tables.map(({ kind, dimension }) => ({
      name: kind,
      datatype: 'FP32',
      shape: [BigInt(count), BigInt(dimension)],
      parameters: {},
      contents: undefined,
    })),
    rawOutputContents: tables.map(({ vectors }) => bytesOf(vectors)),
  };
}

/** What a model takes and gives. */
export function modelMetadata(model: ModelDescription): ModelMetadataResponse {
  const free = -1n;
  return {
    name: model.name,
    versions: [...new Set([model.version, ...model.loadedVersions])].filter((version) => version !== ''),
    platform: 'kindred_tensorflow',
    inputs: [
      { name: 'image', datatype: 'UINT8', shape: [free, free, free, 3n] },
      { name: 'encoded', datatype: 'BYTES', shape: [free] },
    ],
    outputs: [
      { name: 'embedding', datatype: 'FP32', shape: [free, BigInt(model.embeddingDimension)] },
      { name: 'backbone', datatype: 'FP32', shape: [free, BigInt(model.backboneDimension)] },
    ],
    properties: { crop_size: String(model.cropSize), resize_side: String(model.resizeSide ?? 0), sha256: model.sha256 },
  };
}

/** Where the contents of a tensor hold values of its type, if they are not raw. */
const ownContents = { UINT8: 'uintContents', BYTES: 'bytesContents' } as const;

/** A field of the input's contents as the protocol spells it. */
function contentsField(name: string): string {
  return `inputs[0].contents.${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
}

/** Checks type, and that values are in one place alone: elsewhere they would be taken for none, or not be looked at. */
function requireType({ datatype, name, contents }: InputTensor, allowed: 'UINT8' | 'BYTES', isRaw: boolean): void {
  if (datatype !== allowed)
    throw invalidField('inputs[0].datatype', `got '${datatype}' for '${name}'; allowed: ${allowed}`);
  const own = isRaw ? '' : ownContents[allowed];
  const [given] = Object.entries(contents ?? {}).find(([field, { length }]) => field !== own && length > 0) ?? [];
  if (given === undefined) return;
  throw invalidField(
    contentsField(given),
    isRaw
      ? 'got values beside raw_input_contents; allowed: one of the two'
      : `got values of '${allowed}' there; allowed: raw_input_contents[0] or ${contentsField(ownContents[allowed])}`,
  );
}

/** BYTES as raw contents: each value after its length as uint32, little-endian. */
function splitBytes(raw: Uint8Array): Uint8Array[] {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const values: Uint8Array[] = [];
  for (let at = 0; at < raw.length;) {
    const left = raw.length - at - 4;
    const length = left < 0 ? -1 : view.getUint32(at, true);
    if (length < 0 || length > left) {
      throw invalidField(
        'raw_input_contents[0]',
        `got ${raw.length} bytes, which end within value ${values.length}; allowed: each value after its length as uint32`,
      );
    }
    values.push(raw.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return values;
}

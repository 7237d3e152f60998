import { ModelInferRequest } from '@kindred/protocol/inference';
import { describe, expect, it } from 'vitest';
import { checkBatch } from './images/image-batch.js';
import { featureKindsFrom, imageBatchFromTensors, inferResponse, referenceFrom } from './inference-wire.js';

const image = { name: 'image', datatype: 'UINT8', shape: [1n, 1n, 2n, 3n] };
const encoded = { name: 'encoded', datatype: 'BYTES', shape: [2n] };
const request = (value: Parameters<typeof ModelInferRequest.fromPartial>[0]) => ModelInferRequest.fromPartial(value);
const withLengths = (...values: readonly number[][]): Uint8Array =>
  Uint8Array.from(values.flatMap((value) => [value.length, 0, 0, 0, ...value]));

describe('tensors', () => {
  it('are images, raw or in the field of their type', () => {
    const pixels = [1, 2, 3, 4, 5, 6];
    const wanted = { kind: 'raw', count: 1, height: 1, width: 2, pixels: Uint8Array.from(pixels) };
    const raw = request({ inputs: [image], rawInputContents: [Uint8Array.from(pixels)] });
    expect(imageBatchFromTensors(raw)).toMatchObject(wanted);
    const typed = request({ inputs: [{ ...image, contents: { uintContents: pixels } }] });
    expect(imageBatchFromTensors(typed)).toMatchObject(wanted);
    const bytes = request({ inputs: [encoded], rawInputContents: [withLengths([7], [8, 9])] });
    expect(imageBatchFromTensors(bytes)).toMatchObject({ images: [Uint8Array.of(7), Uint8Array.of(8, 9)] });
    const contents = { bytesContents: [Uint8Array.of(7), Uint8Array.of(8, 9)] };
    expect(imageBatchFromTensors(request({ inputs: [{ ...encoded, contents }] }))).toMatchObject({ kind: 'encoded' });
  });

  it.each([
    ['inputs', { inputs: [] }],
    ['inputs', { inputs: [image, image] }],
    ['inputs[0].name', { inputs: [{ ...image, name: 'x' }] }],
    ['inputs[0].datatype', { inputs: [{ ...image, datatype: 'FP32' }] }],
    ['inputs[0].shape', { inputs: [{ ...image, shape: [1n, 3n, 2n, 2n] }] }],
    ['inputs[0].shape', { inputs: [encoded], rawInputContents: [withLengths([7])] }],
    ['inputs[0].shape', { inputs: [{ ...encoded, shape: [-1n, -2n] }], rawInputContents: [withLengths([7], [8])] }],
    ['inputs[0].shape', { inputs: [{ ...encoded, shape: [] }], rawInputContents: [withLengths([7])] }],
    ['inputs[0].contents.int_contents', { inputs: [{ ...image, contents: { intContents: [1, 2, 3, 4, 5, 6] } }] }],
    ['inputs[0].contents.uint_contents', { inputs: [{ ...encoded, contents: { uintContents: [7, 8] } }] }],
    [
      'inputs[0].contents.uint_contents',
      { inputs: [{ ...image, contents: { uintContents: [1, 2, 3, 4, 5, 6] } }], rawInputContents: [new Uint8Array(6)] },
    ],
    ['raw_input_contents[0]', { inputs: [encoded], rawInputContents: [Uint8Array.of(9, 0, 0, 0, 1)] }],
    ['raw_input_contents[0]', { inputs: [encoded], rawInputContents: [Uint8Array.of(1, 0)] }],
    ['raw_input_contents[0]', { inputs: [encoded], rawInputContents: [Uint8Array.of(255, 255, 255, 255, 1)] }],
  ])('that do not fit are refused by %s', (field, value) => {
    expect(() => imageBatchFromTensors(request(value))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', violations: [expect.objectContaining({ field })] }) as Error,
    );
  });

  it.each([
    ['inputs[0].shape', { inputs: [{ ...image, shape: [-1n, 1n, 2n, 3n] }] }],
    ['inputs[0].shape', { inputs: [{ ...image, shape: [1n, -1n, 2n, 3n] }] }],
    ['raw_input_contents[0]', { inputs: [image], rawInputContents: [new Uint8Array(5)] }],
    ['inputs[0].contents.uint_contents', { inputs: [{ ...image, contents: { uintContents: [1] } }] }],
  ])('of the wrong size are refused by %s, a field that the protocol has', (field, value) => {
    const limits = { maxImages: 8, maxImagePixels: 100, maxRequestPixels: 100, maxSide: 10 };
    expect(() => checkBatch(imageBatchFromTensors(request(value)), limits)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', violations: [expect.objectContaining({ field })] }) as Error,
    );
  });

  it('are asked for by name', () => {
    expect(featureKindsFrom(request({}))).toEqual(['embedding']);
    expect(featureKindsFrom(request({ outputs: [{ name: 'backbone' }, { name: 'embedding' }] }))).toEqual([
      'backbone',
      'embedding',
    ]);
    expect(() => featureKindsFrom(request({ outputs: [{ name: 'logits' }] }))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error,
    );
    expect([referenceFrom('cats', ''), referenceFrom('cats', '3')]).toEqual(['cats', 'cats@3']);
  });

  it('come back as little-endian float32, one output a kind, with the version and the times', () => {
    const response = inferResponse('id', {
      ...{ count: 1, model: 'cats', version: '3', faults: [], queueMs: 1, preprocessMs: 0, inferenceMs: 7.5 },
      tables: [
        { kind: 'embedding', dimension: 2, vectors: Float32Array.of(1, -2) },
        { kind: 'backbone', dimension: 2, vectors: Float32Array.of(3, 4) },
      ],
    });
    expect(response).toMatchObject({ id: 'id', modelName: 'cats', modelVersion: '3' });
    expect(response.outputs?.map(({ name, shape }) => [name, shape])).toEqual([
      ['embedding', [1n, 2n]],
      ['backbone', [1n, 2n]],
    ]);
    expect([...(response.rawOutputContents?.[0] ?? [])]).toEqual([0, 0, 128, 63, 0, 0, 0, 192]);
    expect(response.parameters?.['inference_us']).toMatchObject({ parameterChoice: { value: 7500n } });
  });
});

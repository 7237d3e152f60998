import { StreamBatchesResponse } from '@kindred/protocol/augmentation';
import { describe, expect, it } from 'vitest';
import { augmentationDefinition, onceCopied } from './batch-message.js';
import { createSendWindow } from './send-window.js';

const { encode } = augmentationDefinition.methods.streamBatches.responseType;

/** As nice-grpc makes a buffer of a message. */
const bytesOf = (message: StreamBatchesResponse): Buffer => Buffer.from(encode(message).finish());

function message(batch: number, images: Uint8Array): StreamBatchesResponse {
  const parts = { count: 2, views: 2, height: 3, width: 4, contentSha256: batch === 0 ? 'ab'.repeat(32) : '' };
  const [indices, labels] = [Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0), Uint8Array.of(255, 255, 255, 255, 7, 0, 0, 0)];
  return StreamBatchesResponse.fromPartial({ batch, batchCount: 500, images, indices, labels, ...parts });
}

describe('the message of a batch', () => {
  it('reads as the generated one does, whatever its size', () => {
    for (const [batch, size] of [
      [0, 144],
      [1, 144],
      [130, 144],
      [130, 0],
      [7, 127],
      [8, 128],
      [9, 3_000_000],
      [2, 144],
    ] as const) {
      const expected = message(
        batch,
        Uint8Array.from({ length: size }, (_, i) => (i * 7 + batch) & 255),
      );
      const bytes = bytesOf(expected);
      const generated = StreamBatchesResponse.encode(expected).finish();
      expect(bytes.length).toBe(generated.length);
      const { images, ...fields } = StreamBatchesResponse.decode(new Uint8Array(bytes));
      const { images: expectedImages, ...expectedFields } = StreamBatchesResponse.decode(generated);
      expect(fields).toEqual(expectedFields);
      expect(Buffer.compare(images, expectedImages)).toBe(0);
    }
  });

  it('takes pixels out of shared memory', () => {
    const images = new Uint8Array(new SharedArrayBuffer(144)).fill(9);
    expect(StreamBatchesResponse.decode(new Uint8Array(bytesOf(message(3, images)))).images).toEqual(
      new Uint8Array(144).fill(9),
    );
  });

  it('takes no new memory for one as long as the last', () => {
    const first = bytesOf(message(3, new Uint8Array(3_000_000).fill(1)));
    const second = bytesOf(message(4, new Uint8Array(3_000_000).fill(2)));
    expect(second.buffer).toBe(first.buffer);
  });

  it('gives its pixels back once, when they are copied', () => {
    const images = new Uint8Array(new SharedArrayBuffer(144)).fill(5);
    let given = 0;
    const giveBack = (): void => {
      given++;
      images.fill(0);
    };
    onceCopied(images, giveBack);
    const { images: _, ...fields } = message(3, images);
    // As handlers and nice-grpc hand it on: what is encoded is another object, with the same pixels.
    const sent = StreamBatchesResponse.fromPartial(createSendWindow(1).message(fields, images));
    expect(given).toBe(0);
    expect(StreamBatchesResponse.decode(new Uint8Array(bytesOf(sent))).images).toEqual(new Uint8Array(144).fill(5));
    expect(given).toBe(1);
    bytesOf(sent);
    expect(given).toBe(1);
  });
});

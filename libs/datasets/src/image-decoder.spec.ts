import { blankPng } from '@kindred/testing';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { createImageDecoder, type ImageDecoderLimits } from './index.js';

const limits: ImageDecoderLimits = { maxImagePixels: 100, maxCallPixels: 250, concurrency: 2, maxCalls: 2 };
const { signal } = new AbortController();
const image = (width: number, height: number, format: 'png' | 'jpeg' | 'webp' | 'gif' | 'tiff' = 'png') =>
  sharp({ create: { width, height, channels: 3, background: { r: 9, g: 8, b: 7 } } })
    .toFormat(format)
    .toBuffer();

describe('image decoder', () => {
  it('hands over each image with its position', async () => {
    const images = await Promise.all([image(3, 2), image(4, 4, 'jpeg'), image(5, 5, 'webp')]);
    const taken: [number, number, number][] = [];
    await createImageDecoder(limits).decodeEach(images, 'images', signal, ({ width, height }, i) => {
      taken.push([i, width, height]);
    });
    expect(taken.toSorted()).toEqual([
      [0, 3, 2],
      [1, 4, 4],
      [2, 5, 5],
    ]);
  });

  it('refuses by their headers images and calls of too many pixels, before one is decoded', async () => {
    const decoder = createImageDecoder(limits);
    const take = (): never => {
      throw new Error('decoded');
    };
    const large = decoder.decodeEach([await image(10, 10), await image(101, 1)], 'images', signal, take);
    await expect(large).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', violations: [{ field: 'images[1]' }] });
    const many = decoder.decodeEach(Array<Buffer>(3).fill(await image(10, 10)), 'images', signal, take);
    await expect(many).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', violations: [{ field: 'images' }] });
    // What no decoder could hold is not tried: 32 times 8000 × 8000.
    const bomb = decoder.decodeEach(Array<Buffer>(32).fill(blankPng(8000, 8000)), 'images', signal, take);
    await expect(bomb).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  });

  it('takes PNG, JPEG and WebP only, by content, and names each that is another', async () => {
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
    const images = [svg, await image(2, 2), await image(2, 2, 'gif'), await image(2, 2, 'tiff'), Buffer.of()];
    // A TIFF whose first bytes hold WebP's name where WebP has it.
    images.push(Buffer.concat([Buffer.from('II*\0\x10\0\0\0WEBP', 'latin1'), Buffer.alloc(40)]));
    await expect(createImageDecoder(limits).decodeEach(images, 'images', signal, () => {})).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [
        { field: 'images[0]' },
        { field: 'images[2]' },
        { field: 'images[3]' },
        { field: 'images[4]' },
        { field: 'images[5]' },
      ],
    });
  });

  it('holds no more decoded images at a time than it may, over all calls, and refuses one call too many', async () => {
    const decoder = createImageDecoder(limits);
    const images = Array<Buffer>(8).fill(await image(4, 4));
    let held = 0;
    let most = 0;
    const take = async (): Promise<void> => {
      most = Math.max(most, ++held);
      await new Promise((resolve) => setTimeout(resolve, 5));
      held--;
    };
    const calls = [0, 1].map(() => decoder.decodeEach(images, 'images', signal, take));
    await expect(decoder.decodeEach(images, 'images', signal, take)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      retryAfterMs: 200,
    });
    await Promise.all(calls);
    expect(most).toBe(2);
    await decoder.decodeEach(images, 'images', signal, take);
  });

  it('drops what is not begun when the caller leaves', async () => {
    const caller = new AbortController();
    let taken = 0;
    const images = Array<Buffer>(12).fill(await image(4, 4));
    const call = createImageDecoder(limits).decodeEach(images, 'images', caller.signal, () => {
      taken++;
      caller.abort();
    });
    await expect(call).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(taken).toBeLessThanOrEqual(2);
  });
});

// Images as applications have them: each kind against the same picture as plain pixels, and pictures that are broken.
import { randomBytes } from 'node:crypto';
import { createEvaluationPipeline } from '@kindred/augmentation';
import { float32Of } from '@kindred/service-runtime';
import { claimingPng } from '@kindred/testing';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dimension, startEmbedding, type RunningEmbedding } from './spec/running-embedding.js';

let service: RunningEmbedding;
beforeAll(async () => {
  service = await startEmbedding();
  await service.put('m', 1);
  await service.put('uncropped', 1, null);
});
afterAll(() => service.close());

/** Smooth colours, so that lossy kinds stay near. */
function picture(width: number, height: number): Buffer {
  const pixels = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 3;
      pixels[at] = Math.round((255 * x) / width);
      pixels[at + 1] = Math.round((255 * y) / height);
      pixels[at + 2] = Math.round(128 + 100 * Math.sin((x + y) / 9));
    }
  }
  return pixels;
}

const asSharp = (width: number, height: number) =>
  sharp(picture(width, height), { raw: { width, height, channels: 3 } });

async function embed(images: readonly Uint8Array[], model = 'm'): Promise<Float32Array[]> {
  const answer = await service.client.embed({ model, images: { $case: 'encoded', value: { images: [...images] } } });
  expect(answer.errors).toEqual([]);
  const vectors = float32Of(answer.vectors, 'vectors');
  return images.map((_, i) => vectors.subarray(i * dimension, (i + 1) * dimension));
}

async function embedRaw(pixels: Uint8Array, width: number, height: number, model = 'm'): Promise<Float32Array> {
  const value = { pixels, count: 1, width, height };
  const answer = await service.client.embed({ model, images: { $case: 'raw', value } });
  return float32Of(answer.vectors, 'vectors');
}

/** Cosine of the angle between unit vectors. */
const similarity = (a: Float32Array, b: Float32Array): number => a.reduce((sum, x, i) => sum + x * (b[i] ?? NaN), 0);

describe('encoded images', () => {
  it('of lossless kinds are their pixels, of lossy ones nearly', async () => {
    const expected = await embedRaw(picture(32, 32), 32, 32);
    const image = asSharp(32, 32);
    const exact = await embed([await image.png().toBuffer(), await image.webp({ lossless: true }).toBuffer()]);
    for (const vector of exact) expect(similarity(vector, expected)).toBeCloseTo(1, 6);
    const near = await embed([
      await image.jpeg({ quality: 98, chromaSubsampling: '4:4:4' }).toBuffer(),
      await image.avif({ quality: 98 }).toBuffer(),
      await image.gif({ colours: 256, dither: 0 }).toBuffer(),
    ]);
    const other = await embedRaw(picture(32, 32).reverse(), 32, 32);
    for (const vector of near) {
      expect(similarity(vector, expected)).toBeGreaterThan(0.99);
      expect(similarity(vector, expected)).toBeGreaterThan(similarity(other, expected));
    }
  });

  it('are turned as EXIF says', async () => {
    const turned = await asSharp(32, 32).rotate(90).raw().toBuffer();
    const tagged = await asSharp(32, 32).withMetadata({ orientation: 6 }).png().toBuffer();
    const [vector = new Float32Array()] = await embed([tagged]);
    expect(similarity(vector, await embedRaw(turned, 32, 32))).toBeCloseTo(1, 6);
  });

  it('are brought from their colour profile to sRGB', async () => {
    const p3 = await asSharp(32, 32).withIccProfile('p3').png().toBuffer();
    const [vector = new Float32Array()] = await embed([p3]);
    // There and back rounds each channel to 8 bits twice; without the way back the colours would be others.
    const unconverted = await sharp(p3, { ignoreIcc: true }).raw().toBuffer();
    const expected = await embedRaw(picture(32, 32), 32, 32);
    const wrong = await embedRaw(unconverted, 32, 32);
    expect(similarity(vector, expected)).toBeGreaterThan(similarity(wrong, expected));
    expect(similarity(vector, expected)).toBeGreaterThan(0.999);
  });

  it('in grey, 16 bits and with alpha become 8-bit RGB on white', async () => {
    const grey = Buffer.from(Array.from({ length: 1024 }, (_, i) => i >> 2));
    const greyPng = await sharp(grey, { raw: { width: 32, height: 32, channels: 1 } })
      .png()
      .toBuffer();
    const greyRgb = Buffer.from([...grey].flatMap((value) => [value, value, value]));
    const deep = Uint16Array.from(picture(32, 32), (value) => value * 257);
    const deepPng = await sharp(deep, { raw: { width: 32, height: 32, channels: 3 } })
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    expect((await sharp(deepPng).metadata()).depth).toBe('ushort');
    const clear = Buffer.from(Array.from({ length: 1024 }, (_, i) => [10, 200, 30, i < 512 ? 0 : 255]).flat());
    const clearPng = await sharp(clear, { raw: { width: 32, height: 32, channels: 4 } })
      .png()
      .toBuffer();
    const onWhite = Buffer.from(
      Array.from({ length: 1024 }, (_, i) => (i < 512 ? [255, 255, 255] : [10, 200, 30])).flat(),
    );
    const vectors = await embed([greyPng, deepPng, clearPng]);
    for (const [i, pixels] of [greyRgb, picture(32, 32), onWhite].entries()) {
      expect(similarity(vectors[i] as Float32Array, await embedRaw(pixels, 32, 32))).toBeCloseTo(1, 6);
    }
  });

  it('take the first frame of several', async () => {
    const frames = Buffer.concat([picture(32, 32), picture(32, 32).reverse()]);
    const raw = { width: 32, height: 64, channels: 3 as const, pageHeight: 32 };
    const gif = await sharp(frames, { raw, animated: true }).gif({ colours: 256, dither: 0 }).toBuffer();
    expect((await sharp(gif, { animated: true }).metadata()).pages).toBe(2);
    const [vector = new Float32Array()] = await embed([gif]);
    const [alone = new Float32Array()] = await embed([
      await asSharp(32, 32).gif({ colours: 256, dither: 0 }).toBuffer(),
    ]);
    expect(similarity(vector, alone)).toBeGreaterThan(0.99);
  });

  it('of other sizes go the way that the model’s file says, the same for pixels', async () => {
    const png = await asSharp(100, 70).png().toBuffer();
    for (const [model, resizeSide] of [
      ['m', 32],
      ['uncropped', null],
    ] as const) {
      const pipeline = createEvaluationPipeline({ cropSize: 32, resizeSide });
      const view = new Uint8Array(pipeline.viewBytes);
      pipeline.view({ data: picture(100, 70), width: 100, height: 70 }, view, 0);
      const expected = await embedRaw(view, 32, 32, 'uncropped');
      const [vector = new Float32Array()] = await embed([png], model);
      expect(similarity(vector, expected)).toBeCloseTo(1, 6);
      expect(similarity(await embedRaw(picture(100, 70), 100, 70, model), expected)).toBeCloseTo(1, 6);
    }
  });
});

describe('a request without a model', () => {
  it('is refused by the field that is empty, at both doors', async () => {
    const { client, inference } = service;
    const value = { pixels: picture(32, 32), count: 1, width: 32, height: 32 };
    const tensor = { name: 'image', datatype: 'UINT8', shape: [1n, 32n, 32n, 3n] };
    const calls: [string, Promise<unknown>][] = [
      ['model', client.embed({ images: { $case: 'raw', value } })],
      ['model', client.loadModel({})],
      ['model', client.unloadModel({})],
      ['model', client.startEmbedDataset({ dataset: { name: 'drawn' } })],
      ['model_name', inference.modelInfer({ inputs: [tensor], rawInputContents: [picture(32, 32)] })],
      ['name', inference.modelMetadata({ version: '1' })],
      ['name', inference.modelReady({})],
      ['model_name', inference.repositoryModelLoad({})],
      ['model_name', inference.repositoryModelUnload({})],
    ];
    const outcomes = await Promise.allSettled(calls.map(([, call]) => call));
    outcomes.forEach((outcome, i) =>
      expect(outcome).toMatchObject({
        reason: { code: 'INVALID_ARGUMENT', violations: [{ field: calls[i]?.[0] }] },
      }),
    );
  });
});

describe('images that cannot be used', () => {
  it('cost nothing and are named, five hundred of them, while the others of their request are answered', async () => {
    const good = await asSharp(32, 32).png().toBuffer();
    const expected = await embedRaw(picture(32, 32), 32, 32);
    const whole = await Promise.all([
      asSharp(48, 40).png().toBuffer(),
      asSharp(48, 40).jpeg().toBuffer(),
      asSharp(48, 40).webp().toBuffer(),
      asSharp(48, 40).gif().toBuffer(),
    ]);
    const bomb = claimingPng(30_000, 20_000);
    const makers: ((i: number) => Buffer)[] = [
      (i) => randomBytes(1 + (i % 400)),
      // Cut within the first two thirds.
      (i) => {
        const image = whole[i % whole.length] as Buffer;
        return image.subarray(0, 1 + Math.floor(((i % 97) / 97) * 0.6 * image.length));
      },
      (i) => Buffer.concat([Buffer.of(i & 255, 1, 2, 3), (whole[i % whole.length] as Buffer).subarray(4)]),
      () => bomb,
      // A header of zeros after the right first bytes.
      (i) => Buffer.concat([(whole[i % whole.length] as Buffer).subarray(0, 12), Buffer.alloc(100)]),
    ];
    let broken = 0;
    for (let request = 0; request < 5; request++) {
      const images = Array.from({ length: 101 }, (_, i) =>
        i === 50 ? good : (makers[i % makers.length] as (i: number) => Buffer)(request * 101 + i),
      );
      const answer = await service.client.embed({ model: 'm', images: { $case: 'encoded', value: { images } } });
      expect(answer.errors.map(({ index }) => index)).toEqual(images.map((_, i) => i).filter((i) => i !== 50));
      for (const { code, message, index } of answer.errors) {
        expect(code).toBe('INVALID_ARGUMENT');
        expect(message).toContain(`encoded.images[${index}]`);
      }
      broken += answer.errors.length;
      const vectors = float32Of(answer.vectors, 'vectors');
      expect(similarity(vectors.subarray(50 * dimension, 51 * dimension), expected)).toBeCloseTo(1, 6);
      expect(vectors.subarray(0, dimension).every(Number.isNaN)).toBe(true);
    }
    expect(broken).toBe(500);
  });

  it('fail the whole request where that is asked for, and where none is left', async () => {
    const images = [await asSharp(32, 32).png().toBuffer(), randomBytes(40)];
    const strict = { model: 'm', images: { $case: 'encoded' as const, value: { images } }, allOrNothing: true };
    await expect(service.client.embed(strict)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'encoded.images[1]' }],
    });
    const none = { model: 'm', images: { $case: 'encoded' as const, value: { images: [randomBytes(9)] } } };
    await expect(service.client.embed(none)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('are named by input and position in the Open Inference Protocol', async () => {
    const good = await asSharp(32, 32).png().toBuffer();
    const bytesContents = [good, randomBytes(9), randomBytes(10)];
    const inputs = [{ name: 'encoded', datatype: 'BYTES', shape: [3n], contents: { bytesContents } }];
    await expect(service.inference.modelInfer({ modelName: 'm', inputs })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(
        '2 of 3 images cannot be used; first: inputs[0]: image 1 of the batch: got 9',
      ) as string,
      violations: [
        { field: 'inputs[0]', description: expect.stringContaining('image 1 of the batch') as string },
        { field: 'inputs[0]', description: expect.stringContaining('image 2 of the batch') as string },
      ],
    });
  });

  it('are refused by their header: thirty thousand pixels squared take no memory', async () => {
    const bomb = claimingPng(30_000, 30_000);
    const send = () =>
      service.client.embed({ model: 'm', images: { $case: 'encoded', value: { images: [bomb] } } }).catch(() => {});
    await send();
    const before = process.memoryUsage.rss();
    let most = before;
    const watch = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 1);
    await send();
    clearInterval(watch);
    expect(most - before).toBeLessThan(50 * 2 ** 20);
  });
});

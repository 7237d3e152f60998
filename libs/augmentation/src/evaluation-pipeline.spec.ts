import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { centreCrop } from './centre-crop.js';
import { createEvaluationPipeline, type EvaluationOptions } from './pipelines.js';
import type { RgbImage } from './rgb-image.js';

/** The pixels that `resized-crop.spec.ts` has Pillow's digests of. */
function drawnImage(height: number, width: number): RgbImage {
  const data = new Uint8Array(height * width * 3);
  for (let i = 0; i < data.length; i++) data[i] = Math.imul(i, 2654435761) >>> 24;
  return { height, width, data };
}

function viewOf(image: RgbImage, options: EvaluationOptions): Uint8Array {
  const pipeline = createEvaluationPipeline(options);
  const out = new Uint8Array(pipeline.viewBytes);
  pipeline.view(image, out, 0);
  return out;
}

describe('evaluation pipeline', () => {
  it('is the centre crop alone where images have the side that the crop was chosen for, whatever the other side', () => {
    for (const [height, width] of [
      [40, 40],
      [40, 57],
      [71, 40],
    ] as const) {
      const image = drawnImage(height, width);
      expect(viewOf(image, { cropSize: 32, resizeSide: 40 })).toEqual(centreCrop(image, 32));
    }
    expect(viewOf(drawnImage(500, 333), { cropSize: 32 })).toEqual(centreCrop(drawnImage(500, 333), 32));
  });

  it('resizes other images as Pillow does', () => {
    // SHA-256 (first 16 digits) of what Pillow 13.0.0 makes of a 50 × 50 image at 1 × 1, as in resized-crop.spec.ts.
    const small = viewOf(drawnImage(50, 50), { cropSize: 1, resizeSide: 1 });
    expect(createHash('sha256').update(small).digest('hex').slice(0, 16)).toBe('5ee0482179b22382');
  });

  it('takes the central square of an image that is not square, then the crop', () => {
    const wide = drawnImage(20, 33);
    const square: RgbImage = { height: 20, width: 20, data: centreCropAt(wide, 6) };
    expect(viewOf(wide, { cropSize: 8, resizeSide: 10 })).toEqual(viewOf(square, { cropSize: 8, resizeSide: 10 }));
    expect(() => createEvaluationPipeline({ cropSize: 8, resizeSide: 0 })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error,
    );
  });
});

/** The 20 columns from `left` on. */
function centreCropAt({ data, height, width }: RgbImage, left: number): Uint8Array {
  const out = new Uint8Array(height * 20 * 3);
  for (let y = 0; y < height; y++) {
    const from = (y * width + left) * 3;
    out.set(data.subarray(from, from + 60), y * 60);
  }
  return out;
}

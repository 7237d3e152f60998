import { blankPng, claimingPng } from '@kindred/testing';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decoderFault } from './decoder-fault.js';

const bytes = Buffer.from('no image');
const faultOf = async (image: Buffer): Promise<string> =>
  decoderFault(
    await sharp(image, { failOn: 'warning' })
      .raw()
      .toBuffer()
      .catch((thrown: unknown) => thrown),
    image,
  );

describe('what is told of an image that cannot be decoded', () => {
  it('is its size where that is nothing', async () => {
    expect(await faultOf(claimingPng(0, 5))).toBe('its header says 0×5 pixels');
    expect(await faultOf(claimingPng(7, 0))).toBe('its header says 7×0 pixels');
  });

  it('is all that the decoder says, once', async () => {
    const image = sharp(blankPng(48, 40));
    expect(await faultOf((await image.jpeg().toBuffer()).subarray(0, 100))).toContain('premature end of JPEG image; ');
    const avif = await faultOf((await image.avif().toBuffer()).subarray(0, 100));
    expect(avif).toMatch(/^Input buffer has corrupt header; heif: /);
    expect(avif).not.toContain('bad seek');
  });

  it('has one line, no end of its own, and neither paths nor control characters', () => {
    expect(decoderFault(new Error('Input buffer has corrupt header:\n\u001b[1mpng:  bad\u0000 chunk\n'), bytes)).toBe(
      'Input buffer has corrupt header; [1mpng: bad chunk',
    );
    expect(decoderFault(new Error('cannot open /srv/kindred/tmp-1.png: no'), bytes)).toBe('cannot open …: no');
    const long = decoderFault(new Error(Array.from({ length: 900 }, (_, i) => `fault ${i}`).join('\n')), bytes);
    expect([...long]).toHaveLength(201);
  });
});

import { readdirSync } from 'node:fs';
import { goldenFolder, readGoldenNpy } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { centreCrop, createEvaluationPipeline } from './index.js';

const cases = readdirSync(goldenFolder())
  .filter((name) => /^centercrop-\d+-input\.npy$/.test(name))
  .map((name) => name.replace('-input.npy', ''));

describe('centre crop', () => {
  it.each(cases)('golden %s', (name) => {
    const input = readGoldenNpy<Uint8Array>(`${name}-input`);
    const output = readGoldenNpy<Uint8Array>(`${name}-output`);
    const image = { height: input.shape[0]!, width: input.shape[1]!, data: input.data };
    const size = output.shape[0]!;
    expect(Buffer.compare(centreCrop(image, size), output.data)).toBe(0);

    const room = new Uint8Array(output.data.length + 14).fill(7);
    createEvaluationPipeline({ cropSize: size }).view(image, room, 7);
    expect(Buffer.compare(room.subarray(7, -7), output.data)).toBe(0);
    expect([...room.subarray(0, 7), ...room.subarray(-7)]).toEqual(new Array(14).fill(7));
  });

  it('finds golden cases', () => expect(cases.length).toBeGreaterThan(0));

  it('names what is wrong', () => {
    const image = { height: 2, width: 2, data: new Uint8Array(12) };
    const fieldOf = (run: () => unknown) => {
      try {
        run();
      } catch (error) {
        return (error as { violations: { field: string }[] }).violations[0]?.field;
      }
      return 'no error';
    };
    expect(fieldOf(() => createEvaluationPipeline({ cropSize: 0 }))).toBe('crop_size');
    expect(fieldOf(() => centreCrop({ ...image, width: 3 }, 2))).toBe('image.data');
    expect(fieldOf(() => centreCrop(image, 2, new Uint8Array(12), 1))).toBe('offset');
  });
});

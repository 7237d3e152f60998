import { readdirSync } from 'node:fs';
import { goldenFolder, readGoldenJson, readGoldenNpy } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import {
  applyColorJitter,
  applySimclr,
  normalize,
  normalizeTable,
  resizedCrop,
  type NormalizeOptions,
  type SimclrParameters,
} from './index.js';

interface AugmentCase extends SimclrParameters {
  readonly name: string;
  readonly height: number;
  readonly width: number;
  readonly size: number;
}

const sets = readdirSync(goldenFolder())
  .filter((name) => /^augment-.*\.json$/.test(name))
  .map((name) => name.replace('.json', ''));

describe.each(sets)('golden set %s', (set) => {
  const description = readGoldenJson<NormalizeOptions & { cases: AugmentCase[] }>(set);
  const inputs = readGoldenNpy<Uint8Array>(`${set}-input`);
  const [resized, jittered, final] = ['crop_resized', 'jittered', 'final'].map((stage) =>
    readGoldenNpy<Uint8Array>(`${set}-${stage}`),
  );
  const normalized = readGoldenNpy<Float32Array>(`${set}-normalized`);

  const cases = description.cases.map((drawn, index) => ({ ...drawn, index }));
  it('has cases', () => expect(cases.length).toBeGreaterThan(0));

  it.each(cases)('$name is the same bytes at every stage', (drawn) => {
    const { height, width, size, index } = drawn;
    const inputBytes = height * width * 3;
    const viewBytes = size * size * 3;
    const image = { height, width, data: inputs.data.subarray(index * inputBytes, (index + 1) * inputBytes) };
    const expected = (data: Uint8Array) => data.subarray(index * viewBytes, (index + 1) * viewBytes);

    const stages = new Uint8Array(viewBytes);
    resizedCrop(image, drawn.crop, size, false, stages);
    expect(Buffer.compare(stages, expected(resized!.data))).toBe(0);
    resizedCrop(image, drawn.crop, size, drawn.flip, stages);
    if (drawn.jitter) applyColorJitter(stages, drawn);
    expect(Buffer.compare(stages, expected(jittered!.data))).toBe(0);

    const view = applySimclr(image, drawn, size);
    expect(Buffer.compare(view, expected(final!.data))).toBe(0);

    const floats = normalize({ height: size, width: size, data: view }, normalizeTable(description));
    const wanted = normalized.data.subarray(index * viewBytes, (index + 1) * viewBytes);
    expect(floats.findIndex((value, i) => value !== wanted[i])).toBe(-1);
  });
});

// Layout conversions: there and back, and one value followed by hand.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tensorFlowShape, toPyTorchLayout, toTensorFlowLayout } from './layout.js';
import type { ParameterKind } from './specification.js';

describe('layouts', () => {
  it('come back unchanged', () => {
    const size = fc.integer({ min: 1, max: 5 });
    const cases = fc.oneof(
      fc
        .tuple(size, size, size, size)
        .map((shape) => ({ kind: 'convolution-weight' as ParameterKind, shape: [...shape] })),
      fc.tuple(size, size).map((shape) => ({ kind: 'linear-weight' as ParameterKind, shape: [...shape] })),
      size.map((length) => ({ kind: 'norm-bias' as ParameterKind, shape: [length] })),
    );
    fc.assert(
      fc.property(cases, ({ kind, shape }) => {
        const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, index) => index);
        const there = toTensorFlowLayout(values, shape, kind);
        expect(toPyTorchLayout(there, shape, kind)).toEqual(values);
        expect(tensorFlowShape(shape, kind).reduce((a, b) => a * b, 1)).toBe(values.length);
      }),
    );
  });

  it('move a kernel’s value from OIHW to HWIO', () => {
    const [out, input, height, width] = [2, 3, 4, 5];
    const values = new Float32Array(out * input * height * width);
    values[((1 * input + 2) * height + 3) * width + 4] = 7;
    values[((0 * input + 1) * height + 2) * width + 0] = 8;
    const moved = toTensorFlowLayout(values, [out, input, height, width], 'convolution-weight');
    expect(moved[((3 * width + 4) * input + 2) * out + 1]).toBe(7);
    expect(moved[((2 * width + 0) * input + 1) * out + 0]).toBe(8);
    expect(tensorFlowShape([out, input, height, width], 'convolution-weight')).toEqual([height, width, input, out]);
  });

  it('transpose a linear weight', () => {
    expect([...toTensorFlowLayout(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3], 'linear-weight')]).toEqual([
      1, 4, 2, 5, 3, 6,
    ]);
  });
});

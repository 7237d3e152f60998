import { expect, it } from 'vitest';
import { readGoldenJson, readGoldenNpy } from './index.js';

it('reads shape and values of a golden array', () => {
  const { K } = readGoldenJson<{ K: number }>('knn');
  const mined = readGoldenNpy<BigInt64Array>('mine-top20');
  expect(K).toBeGreaterThan(0);
  expect(mined.data.length).toBe((mined.shape[0] ?? 0) * (mined.shape[1] ?? 0));
  expect(mined.data[0]).toBe(0n);
});

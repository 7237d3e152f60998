import { expect, it } from 'vitest';
import { openBlasCore } from './blas-core.js';

it.each([
  { flags: 'fpu avx2 fma avx512f avx512dq avx512bw avx512vl', core: 'SkylakeX' },
  // The first of Intel's processors with AVX-512 lack what OpenBLAS's kernels need besides.
  { flags: 'fpu avx2 fma avx512f', core: 'Haswell' },
  { flags: 'fpu avx', core: undefined },
])('$flags is $core', ({ flags, core }) => {
  expect(openBlasCore(`processor\t: 0\nflags\t\t: ${flags}\nbugs\t\t:\n`)).toBe(core);
});

it('leaves the choice to OpenBLAS where there are no flags', () => {
  expect(openBlasCore('')).toBeUndefined();
});

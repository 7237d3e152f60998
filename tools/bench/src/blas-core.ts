// The name that OpenBLAS has for this processor's kind of vectors, for libraries whose OpenBLAS does not recognise it.
import { readFileSync } from 'node:fs';

/** Value for `OPENBLAS_CORETYPE`; undefined, which leaves the choice to OpenBLAS, where nothing better is known. */
export function openBlasCore(cpuInfo = readCpuInfo()): string | undefined {
  const flags = new Set(/^flags\s*:(.*)$/m.exec(cpuInfo)?.[1]?.trim().split(' '));
  if (['avx512f', 'avx512dq', 'avx512vl', 'avx512bw'].every((flag) => flags.has(flag))) return 'SkylakeX';
  return flags.has('avx2') && flags.has('fma') ? 'Haswell' : undefined;
}

function readCpuInfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'latin1');
  } catch {
    return '';
  }
}

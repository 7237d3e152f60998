import { describe, expect, it } from 'vitest';
import { isNewEnough, provisionGo } from './go-programs.mjs';

describe('Go programs', () => {
  it('are built by a Go that is new enough', () => {
    for (const version of ['go1.25.0', 'go1.25', 'go1.26.8', 'go2.0', 'go1.30rc1'])
      expect(isNewEnough(version)).toBe(true);
    for (const version of [null, '', 'go1.19', 'go1.24.9', 'devel']) expect(isNewEnough(version)).toBe(false);
  });

  it('that are not known are named', async () => {
    // @ts-expect-error: no such program
    await expect(provisionGo('nothing')).rejects.toThrow(/unknown program 'nothing'; known: minio, mc/);
  });
});

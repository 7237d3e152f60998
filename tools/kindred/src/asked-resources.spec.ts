import { describe, expect, it } from 'vitest';
import { askedResources } from './asked-resources.js';

describe('resources that a command asks for', () => {
  it('are none where no option names any', () => {
    expect(askedResources({})).toBeUndefined();
  });

  it('are counted in the units of the contract', () => {
    expect(
      askedResources({ accelerator: 'nvidia.com/mig-1g.10gb=2', cpu: '1.5', memoryGib: '0.5', priorityClass: 'high' }),
    ).toEqual({
      accelerator: 'nvidia.com/mig-1g.10gb',
      acceleratorCount: 2,
      cpuMillis: 1500,
      memoryBytes: 536_870_912n,
      priorityClass: 'high',
    });
    expect(askedResources({ accelerator: 'none' })).toMatchObject({ accelerator: 'none', acceleratorCount: 0 });
    expect(askedResources({ cpu: '4' })).toMatchObject({ accelerator: '', acceleratorCount: 0, memoryBytes: 0n });
  });

  it.each([
    [{ accelerator: 'nvidia.com/gpu' }, '--accelerator'],
    [{ accelerator: '=1' }, '--accelerator'],
    [{ accelerator: 'nvidia.com/gpu=-1' }, '--accelerator'],
    [{ cpu: '0' }, '--cpu'],
    [{ cpu: '2 cores' }, '--cpu'],
    [{ memoryGib: '-1' }, '--memory-gib'],
    [{ memoryGib: '1e9' }, '--memory-gib'],
  ])('refuse %o by name', (options, field) => {
    expect(() => askedResources(options)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', violations: [expect.objectContaining({ field })] }),
    );
  });
});

import { RunResources } from '@kindred/protocol/training';
import { describe, expect, it } from 'vitest';
import { noResources, readResources, toWireResources } from './run-resources.js';

const read = (asked: Partial<RunResources>, inCluster = true) =>
  readResources(RunResources.fromPartial(asked), inCluster);

describe('resources of a request', () => {
  it('name an accelerator with its count, none, or nothing', () => {
    expect(read({ accelerator: 'nvidia.com/gpu', acceleratorCount: 2 })).toMatchObject({ acceleratorCount: 2 });
    expect(read({ accelerator: 'none' })).toEqual({ ...noResources, accelerator: 'none' });
    expect(read({})).toEqual(noResources);
    expect(readResources(undefined, false)).toBeUndefined();
  });

  it('are the same on the wire and back', () => {
    const asked = { accelerator: 'none', cpuMillis: 500, memoryBytes: 2n ** 40n, priorityClass: 'high' };
    expect(RunResources.fromPartial(toWireResources(read(asked)) ?? {})).toEqual(RunResources.fromPartial(asked));
  });

  it.each([
    [{ accelerator: 'gpu', acceleratorCount: 1 }, 'resources.accelerator'],
    [{ accelerator: 'nvidia.com/gpu' }, 'resources.accelerator_count'],
    [{ accelerator: 'nvidia.com/gpu', acceleratorCount: 65 }, 'resources.accelerator_count'],
    [{ accelerator: 'none', acceleratorCount: 1 }, 'resources.accelerator_count'],
    [{ acceleratorCount: 1 }, 'resources.accelerator_count'],
    [{ memoryBytes: 2n ** 53n }, 'resources.memory_bytes'],
    [{ priorityClass: 'No Class' }, 'resources.priority_class'],
  ])('are refused by the field: %o', (asked, field) => {
    expect(() => read(asked)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', violations: [expect.objectContaining({ field })] }) as Error,
    );
  });

  it('are refused where runs are processes', () => {
    expect(() => read({}, false)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error);
  });
});

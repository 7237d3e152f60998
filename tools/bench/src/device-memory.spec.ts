import { describe, expect, it } from 'vitest';
import { memoryOf } from './device-memory.js';

describe('the memory of a process on GPUs', () => {
  it('is the sum over its lines', () => {
    expect(memoryOf(812, '811, 100\n812, 1520\n8120, 7\n812, 80\n')).toBe(1600);
  });

  it('is not known for a process that has no line, or whose figure the driver keeps back', () => {
    expect(memoryOf(81, '811, 100\n')).toBeNull();
    expect(memoryOf(81, '')).toBeNull();
    expect(memoryOf(81, '81, [N/A]\n')).toBeNull();
  });
});

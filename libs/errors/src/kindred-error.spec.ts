import { describe, expect, it } from 'vitest';
import {
  KindredError,
  deserializeError,
  invalidField,
  isKindredError,
  serializeError,
  toKindredError,
} from './index.js';

describe('KindredError', () => {
  it('keeps its code and fields across a structured clone', () => {
    const error = new KindredError('RESOURCE_EXHAUSTED', 'queue is full: 64 of 64', {
      retryAfterMs: 50,
      resource: { type: 'model', name: 'm' },
    });
    const back = deserializeError(structuredClone(serializeError(error)));
    expect(back).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      retryAfterMs: 50,
      resource: { type: 'model', name: 'm' },
    });
    expect(isKindredError(back, 'RESOURCE_EXHAUSTED')).toBe(true);
    expect(isKindredError(back, 'NOT_FOUND')).toBe(false);
  });

  it('names the field', () => {
    expect(invalidField('batch_size', 'got 0; allowed: 1 or more').violations).toEqual([
      { field: 'batch_size', description: 'got 0; allowed: 1 or more' },
    ]);
  });

  it('tells a full disk from a fault of ours', () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    expect(toKindredError(full).code).toBe('RESOURCE_EXHAUSTED');
    expect(toKindredError(new TypeError('x is undefined')).code).toBe('INTERNAL');
    expect(toKindredError('thrown text')).toMatchObject({ code: 'INTERNAL', message: 'thrown text' });
  });
});

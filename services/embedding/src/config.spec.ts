// What the settings contradict, and what follows from them where they say nothing.
import { describe, expect, it } from 'vitest';
import { loadConfig } from './config.js';

const instances = (environment: Record<string, string>): number => loadConfig(environment).limits.instances;

describe('settings', () => {
  it('give each of two threads an instance, and otherwise one instance all of them', () => {
    expect(['1', '2', '3', '16'].map((threads) => instances({ KINDRED_EMBEDDING_THREADS: threads }))).toEqual([
      1, 2, 1, 1,
    ]);
    expect(instances({ KINDRED_EMBEDDING_THREADS: '8', KINDRED_EMBEDDING_INSTANCES: '4' })).toBe(4);
  });

  it.each([
    ['KINDRED_EMBEDDING_INSTANCES', { KINDRED_EMBEDDING_THREADS: '2', KINDRED_EMBEDDING_INSTANCES: '3' }],
    ['KINDRED_EMBEDDING_MAX_CALL_PIXELS', { KINDRED_EMBEDDING_MAX_CALL_PIXELS: '5' }],
    ['KINDRED_EMBEDDING_MAX_QUEUED', { KINDRED_EMBEDDING_MAX_QUEUED: '10' }],
  ])('that contradict others are refused by %s', (field, environment) => {
    expect(() => loadConfig(environment)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', violations: [expect.objectContaining({ field })] }) as Error,
    );
  });
});

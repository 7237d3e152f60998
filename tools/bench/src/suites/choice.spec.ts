import { describe, expect, it } from 'vitest';
import { allSuites, chooseSuites } from './choice.js';

const named = (...names: string[]): string[] => chooseSuites(names).map(({ name }) => name);

describe('the choice of suites', () => {
  it('is all of them for no name, and a group for its name', () => {
    expect(chooseSuites([])).toEqual(allSuites);
    expect(chooseSuites(['training', 'embedding', 'artifacts', 'neighbors', 'step-settings'])).toEqual(allSuites);
    expect(named('embedding')).toEqual(['embedding-throughput', 'embedding-load']);
    expect(named('training')).not.toContain('embedding-load');
  });

  it('is each suite once, in the order of the list', () => {
    expect(named('memory', 'steps', 'memory')).toEqual(['steps', 'memory']);
    expect(named('mining')).toEqual(['mining']);
  });

  it('has suites for GPUs where they are named, and not among all', () => {
    expect(named('gpu', 'mining')).toEqual(['mining', 'gpu']);
    expect(named()).not.toContain('gpu');
  });

  it('refuses a name that there is not, and says which there are', () => {
    expect(() => chooseSuites(['steps', 'speed'])).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
    expect(() => chooseSuites(['speed'])).toThrow(/training, embedding, neighbors, steps/);
  });
});

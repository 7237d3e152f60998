import { describe, expect, it } from 'vitest';
import { selfFirst } from './mining.js';

describe('selfFirst', () => {
  it('moves a row’s own number to the front, and those before it up by one', () => {
    const positions = Int32Array.of(0, 4, 5, 9, 1, 7, 8, 6, 2);
    selfFirst(positions, 3);
    expect([...positions]).toEqual([0, 4, 5, 1, 9, 7, 2, 8, 6]);
  });

  it('gives the last place up where k other vectors are nearer to a row than itself', () => {
    const positions = Int32Array.of(3, 4, 5, 6, 3, 4, 5, 6);
    selfFirst(positions, 4);
    expect([...positions]).toEqual([0, 3, 4, 5, 1, 3, 4, 5]);
  });

  it('keeps "no neighbour" at the end', () => {
    const positions = Int32Array.of(-1, -1, -1, 0, -1, -1, 2, 1, -1);
    selfFirst(positions, 3);
    expect([...positions]).toEqual([0, -1, -1, 1, 0, -1, 2, 1, -1]);
  });
});

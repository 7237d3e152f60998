// The compiled search against the definition, and the golden memory bank through it.
import { exactTopK, weightedKnn } from '@kindred/memory-bank';
import { readGoldenJson, readGoldenNpy } from '@kindred/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, describe, expect, it } from 'vitest';
import { createNeighbourSearch, nearestProgram } from './neighbour-search.js';
import { loadTensorFlow } from './runtime.js';
import { runEagerly } from './trace.js';

const search = createNeighbourSearch();
afterAll(() => search.dispose());

// A linear congruential generator: the same table each time.
function table(rows: number, dimension: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: rows * dimension }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

describe('neighbour search', () => {
  it.each([
    [300, 70, 16, 10],
    [7, 5, 3, 100],
    [1, 1, 1, 1],
  ])('%i rows, %i queries of %i numbers, k = %i: as by the definition', (rows, count, dimension, k) => {
    const [bank, queries] = [table(rows, dimension, 1), table(count, dimension, 2)];
    const expected = exactTopK({ queries, dimension, k }, bank);
    const found = search.find({ bank, queries, dimension, k });
    expect(found.k).toBe(expected.k);
    expect(found.positions).toEqual(expected.positions);
    found.scores.forEach((score, i) => expect(score).toBeCloseTo(expected.scores[i] ?? Number.NaN, 5));
  });

  it('finds what the same operations find one by one, bit for bit', () => {
    const runtime = loadTensorFlow();
    const [bank, queries] = [table(300, 16, 1), table(70, 16, 2)];
    const found = search.find({ bank, queries, dimension: 16, k: 10 });
    const shapes = { queries: [70, 16] };
    const definition = nearestProgram(runtime, 300, 16, 10);
    const { scores, positions } = runEagerly(runtime, definition, 'nearest', { bank }, { queries }, shapes).outputs;
    expect(found.scores).toEqual(scores?.dataSync());
    expect(found.positions).toEqual(positions?.dataSync());
    scores?.dispose();
    positions?.dispose();
  });

  it('lets the first of equal rows win, and forgets the bank before', () => {
    const bank = Float32Array.of(1, 0, 1, 0, 0, 1, 1, 0);
    const queries = Float32Array.of(1, 0);
    expect([...search.find({ bank, queries, dimension: 2, k: 3 }).positions]).toEqual([0, 1, 3]);
    const other = Float32Array.of(0, 1, 1, 0, 1, 0, 0, 1);
    expect([...search.find({ bank: other, queries, dimension: 2, k: 3 }).positions]).toEqual([1, 2, 0]);
  });

  it('classifies the golden queries as the reference', () => {
    const { K: k, temperature, classes } = readGoldenJson<{ K: number; temperature: number; classes: number }>('knn');
    const bank = readGoldenNpy<Float32Array>('knn-bank').data;
    const labels = Int32Array.from(readGoldenNpy<BigInt64Array>('knn-bank-targets').data, Number);
    const queries = readGoldenNpy<Float32Array>('knn-queries').data;
    const expected = Array.from(readGoldenNpy<BigInt64Array>('knn-predictions').data, Number);
    const { predictions } = weightedKnn({ bank, labels, queries, k, temperature, classes, search: search.find });
    expect(Array.from(predictions)).toEqual(expected);
  });

  it('keeps no tensors and refuses what does not fit', () => {
    const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
    const before = tf.memory().numTensors;
    search.find({ bank: table(9, 4, 3), queries: table(2, 4, 4), dimension: 4, k: 2 });
    expect(tf.memory().numTensors).toBe(before);
    const ok = { bank: new Float32Array(8), queries: new Float32Array(4), dimension: 4, k: 1 };
    expect(() => search.find({ ...ok, k: 0 })).toThrow(refused);
    expect(() => search.find({ ...ok, bank: new Float32Array(0) })).toThrow(refused);
    expect(() => search.find({ ...ok, queries: new Float32Array(3) })).toThrow(refused);
  });
});

import { readGoldenJson, readGoldenNpy } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { distinctLabels, neighbourAccuracy, top1Accuracy, voteByNeighbours, weightedKnn } from './index.js';

interface GoldenKnn {
  K: number;
  temperature: number;
  classes: number;
  top1: number;
  mine_accuracy: Record<string, number>;
}

/** The reference keeps its accuracies in float32. */
const percentDigits = 4;

describe('against the reference', () => {
  const golden = readGoldenJson<GoldenKnn>('knn');
  const bank = readGoldenNpy<Float32Array>('knn-bank').data;
  const labels = Int32Array.from(readGoldenNpy<BigInt64Array>('knn-bank-targets').data, Number);
  const queries = readGoldenNpy<Float32Array>('knn-queries').data;
  const targets = Array.from(readGoldenNpy<BigInt64Array>('knn-query-targets').data, Number);

  it('predicts the same classes', () => {
    const { K: k, temperature, classes } = golden;
    const { predictions } = weightedKnn({ bank, labels, queries, k, temperature, classes });
    expect([...predictions]).toEqual(Array.from(readGoldenNpy<BigInt64Array>('knn-predictions').data, Number));
    expect(top1Accuracy(predictions, targets)).toBeCloseTo(golden.top1, percentDigits);
  });

  it.each(Object.entries(golden.mine_accuracy))('measures the same purity of top-%s neighbours', (k, accuracy) => {
    expect(neighbourAccuracy(readGoldenNpy<BigInt64Array>(`mine-top${k}`).data, labels)).toBeCloseTo(accuracy, 10);
  });
});

describe('weighted kNN', () => {
  it('agrees with the formula, written out', () => {
    const bank = Float32Array.of(1, 0, 0, 1, 0.6, 0.8);
    const { predictions, shares } = weightedKnn({
      bank,
      labels: Int32Array.of(0, 1, 2),
      queries: Float32Array.of(1, 0),
      k: 2,
      temperature: 0.5,
      classes: 3,
    });
    const [a, b] = [Math.exp(1 / 0.5), Math.exp(Math.fround(0.6) / 0.5)];
    expect(predictions[0]).toBe(0);
    expect(shares[0]).toBeCloseTo(a / (a + b), 6);
    expect(shares[2]).toBeCloseTo(b / (a + b), 6);
    expect(shares[1]).toBe(0);
  });

  it('lets all rows vote where the bank is smaller than k, and survives long vectors', () => {
    const bank = Float32Array.of(1000, 900);
    const options = { bank, labels: Int32Array.of(1, 0), queries: Float32Array.of(1000), classes: 2 };
    expect([...weightedKnn(options).predictions]).toEqual([1]);
  });

  it.each([
    { name: 'a label past the classes', change: { labels: Int32Array.of(0, 2) } },
    { name: 'a query of another length', change: { queries: Float32Array.of(1, 2, 3) } },
    { name: 'an empty bank', change: { bank: new Float32Array(), labels: new Int32Array() } },
    { name: 'a temperature of 0', change: { temperature: 0 } },
    { name: 'k = 0', change: { k: 0 } },
  ])('refuses $name', ({ change }) => {
    const sound = {
      bank: Float32Array.of(1, 0, 0, 1),
      labels: Int32Array.of(0, 1),
      queries: Float32Array.of(1, 0),
      classes: 2,
    };
    expect(() => weightedKnn({ ...sound, ...change })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

describe('voting', () => {
  it('agrees with weightedKnn and leaves the unlabelled out', () => {
    const [vote] = voteByNeighbours({
      scores: Float32Array.of(0.9, 0.5, 0.4),
      labels: Int32Array.of(-1, 7, 3),
      k: 3,
      temperature: 0.1,
    });
    expect(vote?.label).toBe(7);
    expect(vote?.shares[0]?.share).toBeCloseTo(1 / (1 + Math.exp(-1)), 6);
    expect(vote?.shares.map(({ label }) => label)).toEqual([7, 3]);
  });

  it('has no winner without labels', () => {
    const votes = voteByNeighbours({ scores: Float32Array.of(1), labels: Int32Array.of(-1), k: 1, temperature: 1 });
    expect(votes).toEqual([{ label: -1, shares: [] }]);
    expect(distinctLabels(Int32Array.of(-1, 4, 2, 4))).toEqual([2, 4]);
  });
});

describe('accuracy', () => {
  it.each([
    { name: 'too few columns', run: () => neighbourAccuracy(Int32Array.of(0, 1), [0, 0]) },
    { name: 'an index outside', run: () => neighbourAccuracy(Int32Array.of(0, 2, 1, 0), [0, 0]) },
    { name: 'nothing', run: () => top1Accuracy([], []) },
  ])('refuses $name', ({ run }) => {
    expect(run).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('does not count the row itself', () => {
    expect(neighbourAccuracy(BigInt64Array.of(0n, 1n, 1n, 0n, 2n, 0n), [5, 5, 6])).toBeCloseTo(200 / 3, 10);
  });
});

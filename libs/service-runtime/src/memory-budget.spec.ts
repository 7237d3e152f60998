import { freemem, totalmem } from 'node:os';
import { describe, expect, it } from 'vitest';
import { availableMemory, createMemoryBudget } from './memory-budget.js';

const exhausted = expect.objectContaining({
  code: 'RESOURCE_EXHAUSTED',
  resource: { type: 'memory', name: 'test' },
}) as Error;

describe('a memory budget', () => {
  it('grants up to its limit and takes back', () => {
    const budget = createMemoryBudget({ name: 'test', limitBytes: 100, headroomBytes: 0 });
    const first = budget.reserve(60, 'a');
    expect(() => budget.reserve(41, 'b')).toThrow(exhausted);
    const second = budget.reserve(40, 'b');
    expect(() => second.resize(41)).toThrow(exhausted);
    expect(second.bytes).toBe(40);
    second.resize(10);
    expect(budget.reservedBytes()).toBe(70);
    first.release();
    first.release();
    second.release();
    expect(budget.reservedBytes()).toBe(0);
    expect(() => second.resize(1)).toThrow(expect.objectContaining({ code: 'FAILED_PRECONDITION' }) as Error);
  });

  it('refuses before the machine has nothing left, and never to give memory back', () => {
    let available = 1000;
    const budget = createMemoryBudget({
      name: 'test',
      limitBytes: 1e9,
      headroomBytes: 300,
      availableBytes: () => available,
    });
    expect(() => budget.reserve(701, 'a')).toThrow(exhausted);
    const held = budget.reserve(700, 'a');
    available = 0;
    expect(() => budget.reserve(1, 'b')).toThrow(exhausted);
    held.resize(600);
    held.release();
    expect(budget.reservedBytes()).toBe(0);
  });

  it('refuses sizes that are none', () => {
    const budget = createMemoryBudget({ name: 'test', limitBytes: 100 });
    for (const size of [-1, 0.5, NaN, Infinity])
      expect(() => budget.reserve(size, 'a')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error);
  });

  it("reads the kernel's account", () => {
    const available = availableMemory();
    expect(available).toBeGreaterThan(0);
    expect(available).toBeLessThanOrEqual(totalmem());
    expect(freemem()).toBeGreaterThan(0);
  });
});

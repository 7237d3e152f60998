import { describe, expect, it } from 'vitest';
import { createSharedBuffers } from './shared-buffers.js';

describe('shared buffers', () => {
  it('gives a buffer to one borrower at a time, and again only in its own size', () => {
    const buffers = createSharedBuffers();
    const first = buffers.take(8);
    expect(buffers.take(8)).not.toBe(first);
    buffers.give(first);
    expect(buffers.take(16).byteLength).toBe(16);
    expect(buffers.take(8)).toBe(first);
  });

  it('keeps no more than a few', () => {
    const buffers = createSharedBuffers();
    const all = Array.from({ length: 40 }, () => buffers.take(8));
    all.forEach((buffer) => buffers.give(buffer));
    const again = Array.from({ length: 40 }, () => buffers.take(8));
    expect(again.filter((buffer) => all.includes(buffer)).length).toBe(16);
  });
});

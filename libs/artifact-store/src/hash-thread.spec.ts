import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { verified } from './content-hash.js';
import { createThreadHash } from './hash-thread.js';

describe('a hash in a thread', () => {
  const sizes = [[0], [1], [1 << 20], [(1 << 20) + 1, 0, 3], [9_000_000, 70_000, 3_000_001]];

  it.each(sizes.map((parts) => ({ parts })))('is that of the whole, for parts of $parts bytes', async ({ parts }) => {
    const hash = createThreadHash();
    const expected = createHash('sha256');
    for (const size of parts) {
      const part = randomBytes(size);
      expected.update(part);
      await hash.update(part);
      // Its memory may be used again at once.
      part.fill(0);
    }
    expect(await hash.digest()).toBe(expected.digest('hex'));
    await hash.close();
  });

  it('passes on what it hashes, and names what is damaged, in streams of any length', async () => {
    const parts = Array.from({ length: 40 }, () => randomBytes(1 << 20));
    const expected = createHash('sha256');
    for (const part of parts) expected.update(part);
    const sha256 = expected.digest('hex');
    async function* stream(): AsyncGenerator<Uint8Array> {
      yield* parts;
    }
    for (const size of [null, 40 << 20]) {
      let bytes = 0;
      for await (const part of verified(stream(), 'k', sha256, size)) bytes += part.length;
      expect(bytes).toBe(40 << 20);
      await expect(async () => {
        for await (const _ of verified(stream(), 'k', 'f'.repeat(64), size));
      }).rejects.toMatchObject({ code: 'DATA_LOSS', resource: { name: 'k' } });
      // Left early, as a reader may.
      for await (const _ of verified(stream(), 'k', sha256, size)) break;
    }
  });
});

import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { datasetShardKey } from '@kindred/lineage';
import { createLogger } from '@kindred/service-runtime';
import { temporaryFolder } from '@kindred/testing';
import { register } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { openShardCache } from './shard-cache.js';

const shards = Array.from({ length: 4 }, (_, i) => Buffer.alloc(1000, `shard ${i}`));
const files = shards.map((bytes) => ({
  sha256: createHash('sha256').update(bytes).digest('hex'),
  size: bytes.length,
}));
const [a, b, c, d] = files as [(typeof files)[0], (typeof files)[0], (typeof files)[0], (typeof files)[0]];

/** A store of the shards whose first `faults` reads of each give other bytes; it counts the reads. */
function storeWith(faults: number) {
  const reads: string[] = [];
  return {
    reads,
    async *read(key: string): AsyncGenerator<Uint8Array> {
      const i = files.findIndex(({ sha256 }) => datasetShardKey(sha256) === key);
      const bytes = Uint8Array.from(shards[i] ?? []);
      if (reads.filter((read) => read === key).length < faults) bytes[500] = 255;
      reads.push(key);
      for (let at = 0; at < bytes.length; at += 300) yield bytes.subarray(at, at + 300);
    },
  };
}

const logger = createLogger('spec', 'silent');
const brokenShards = async (from: string): Promise<number> =>
  (await register.getSingleMetric('kindred_augmentation_broken_shards_total')?.get())?.values.find(
    ({ labels }) => labels['from'] === from,
  )?.value ?? 0;
const onDisk = (folder: string): number =>
  readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);

describe('shard cache', () => {
  const root = temporaryFolder();

  it('never holds more bytes than it may, and lets the longest unused go', async () => {
    const folder = join(root, 'bounded');
    const store = storeWith(0);
    const cache = await openShardCache({ store, folder, maxBytes: 2500, logger });
    for (const file of [a, b, a, c]) {
      expect(Buffer.from(await cache.fetch(file, 'x'))).toEqual(shards[files.indexOf(file)]);
      expect(onDisk(folder)).toBeLessThanOrEqual(2500);
      expect(cache.bytes()).toBe(onDisk(folder));
    }
    expect(readdirSync(folder).sort()).toEqual([a.sha256, c.sha256].sort());
    await Promise.all([a, b, c, d, a, b, c, d].map((file) => cache.fetch(file, 'x')));
    expect(onDisk(folder)).toBeLessThanOrEqual(2500);
  });

  it('finds what an earlier process left, reads it once for all who ask, and keeps nothing that is too large', async () => {
    const folder = join(root, 'kept');
    const first = await openShardCache({ store: storeWith(0), folder, maxBytes: 9000, logger });
    await first.fetch(a, 'x');
    writeFileSync(join(folder, `${b.sha256}.part`), 'half');
    const store = storeWith(0);
    const second = await openShardCache({ store, folder, maxBytes: 9000, logger });
    expect(readdirSync(folder)).toEqual([a.sha256]);
    const all = await Promise.all([a, a, b, b, b].map((file) => second.fetch(file, 'x')));
    expect(all.map((bytes) => Buffer.from(bytes))).toEqual([0, 0, 1, 1, 1].map((i) => shards[i]));
    expect(new Set(all.map(({ buffer }) => buffer)).size).toBe(5);
    expect(store.reads).toEqual([datasetShardKey(b.sha256)]);
    const none = await openShardCache({ store, folder: join(root, 'none'), maxBytes: 999, logger });
    await none.fetch(a, 'x');
    expect(readdirSync(join(root, 'none'))).toEqual([]);
  });

  it('fetches a broken shard once more, wherever it was broken, and reports it', async () => {
    const folder = join(root, 'broken');
    const store = storeWith(1);
    const before = [await brokenShards('store'), await brokenShards('cache')];
    const cache = await openShardCache({ store, folder, maxBytes: 9000, logger });
    expect(Buffer.from(await cache.fetch(a, 'x'))).toEqual(shards[0]);
    expect(store.reads).toHaveLength(2);
    expect(await brokenShards('store')).toBe((before[0] ?? 0) + 1);
    const bytes = readFileSync(join(folder, a.sha256));
    writeFileSync(join(folder, a.sha256), bytes.fill(0, 10, 11));
    expect(Buffer.from(await cache.fetch(a, 'x'))).toEqual(shards[0]);
    expect(store.reads).toHaveLength(3);
    expect(await brokenShards('cache')).toBe((before[1] ?? 0) + 1);
    expect(readFileSync(join(folder, a.sha256))).toEqual(shards[0]);
  });

  it.each([
    ['broken twice', storeWith(2)],
    ['cut short', { async *read() { yield shards[0]?.subarray(0, 10) ?? Buffer.alloc(0); } }], // prettier-ignore
  ])('gives up a shard that is %s, naming it and its dataset', async (_, store) => {
    const cache = await openShardCache({ store, folder: join(root, 'lost'), maxBytes: 9000, logger });
    await expect(cache.fetch(a, 'artifact:cats')).rejects.toMatchObject({
      code: 'DATA_LOSS',
      resource: { type: 'artifact', name: datasetShardKey(a.sha256) },
      message: expect.stringContaining("'artifact:cats'") as string,
    });
    expect(readdirSync(join(root, 'lost'))).toEqual([]);
  });
});

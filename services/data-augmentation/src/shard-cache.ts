// Shards of pushed datasets on this machine's disk: a bounded number of bytes, the longest unused leave first, every read is hashed.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArtifactStore } from '@kindred/artifact-store';
import { KindredError, toKindredError } from '@kindred/errors';
import { datasetShardKey, type DatasetFile } from '@kindred/lineage';
import { Counter, Gauge, type Logger } from '@kindred/service-runtime';

const cachedBytes = new Gauge({
  name: 'kindred_augmentation_shard_cache_bytes',
  help: 'Bytes of shards of pushed datasets on disk.',
});
const reads = new Counter({
  name: 'kindred_augmentation_shard_reads_total',
  help: 'Shards of pushed datasets that were read, by where they were found.',
  labelNames: ['from'],
});
const broken = new Counter({
  name: 'kindred_augmentation_broken_shards_total',
  help: 'Shards of pushed datasets whose content was not what its hash says, or that were missing, by where.',
  labelNames: ['from'],
});

/** Shards by their hash. */
export interface ShardCache {
  /**
   * The content of a shard of `dataset`, checked against its hash; its memory is the caller's. A broken one is reported and
   * fetched from the store once more. DATA_LOSS, naming shard and dataset, when it is broken then too, or missing.
   */
  fetch(file: DatasetFile, dataset: string): Promise<Uint8Array>;
  /** Bytes on disk. */
  bytes(): number;
}

/** What the cache lives on. */
export interface ShardCacheParts {
  readonly store: Pick<ArtifactStore, 'read'>;
  /** Folder of its own, used by one process at a time. */
  readonly folder: string;
  /** Bytes on disk; a shard that is larger is not kept. */
  readonly maxBytes: number;
  readonly logger: Logger;
}

const partSuffix = '.part';

/** Opens the cache with what an earlier process has left in the folder; what was half written goes. */
export async function openShardCache({ store, folder, maxBytes, logger }: ShardCacheParts): Promise<ShardCache> {
  await mkdir(folder, { recursive: true });
  /** Sizes by hash, the longest unused first. */
  const kept = await readKept(folder);
  let total = [...kept.values()].reduce((sum, size) => sum + size, 0);
  const path = (sha256: string): string => join(folder, sha256);

  const drop = async (sha256: string): Promise<void> => {
    total -= kept.get(sha256) ?? 0;
    kept.delete(sha256);
    cachedBytes.set(total);
    await rm(path(sha256), { force: true });
  };
  /** Lets go of the longest unused until `size` more bytes fit. */
  const makeRoom = async (size: number): Promise<void> => {
    for (const sha256 of [...kept.keys()]) {
      if (total + size <= maxBytes) return;
      await drop(sha256);
    }
  };
  const report = (from: string, file: DatasetFile, dataset: string, problem: string): void => {
    broken.inc({ from });
    logger.warn({ from, shard: datasetShardKey(file.sha256), dataset, problem }, 'a shard is broken');
  };

  const fromDisk = async (file: DatasetFile, dataset: string): Promise<Uint8Array | null> => {
    const { sha256 } = file;
    if (!kept.has(sha256)) return null;
    try {
      const bytes = await readChecked(createReadStream(path(sha256)) as AsyncIterable<Uint8Array>, file);
      const size = kept.get(sha256);
      if (size !== undefined) {
        kept.delete(sha256);
        kept.set(sha256, size);
      }
      const now = new Date();
      await utimes(path(sha256), now, now).catch(() => {});
      return bytes;
    } catch (thrown) {
      report('cache', file, dataset, toKindredError(thrown).message);
      await drop(sha256);
      return null;
    }
  };

  const fromStore = async (file: DatasetFile, dataset: string): Promise<Uint8Array> => {
    const key = datasetShardKey(file.sha256);
    for (let attempt = 1; ; attempt++) {
      try {
        return await readChecked(store.read(key), file);
      } catch (thrown) {
        const { code, message } = toKindredError(thrown);
        if (code !== 'DATA_LOSS' && code !== 'NOT_FOUND') throw thrown;
        report('store', file, dataset, message);
        if (attempt === 1) continue;
        throw new KindredError(
          'DATA_LOSS',
          `shard '${key}' of dataset '${dataset}' is broken in the artifact store, at each of 2 reads: ${message}. ` +
            'Delete it there and push the dataset again: only what is missing is uploaded',
          { resource: { type: 'artifact', name: key }, cause: thrown },
        );
      }
    }
  };

  /** One write at a time, so that the bound holds. */
  let writing: Promise<void> = Promise.resolve();
  const keep = (sha256: string, bytes: Uint8Array): Promise<void> => {
    if (bytes.length > maxBytes) return Promise.resolve();
    writing = writing.then(async () => {
      if (kept.has(sha256)) return;
      try {
        await makeRoom(bytes.length);
        await writeFile(`${path(sha256)}${partSuffix}`, bytes);
        await rename(`${path(sha256)}${partSuffix}`, path(sha256));
        kept.set(sha256, bytes.length);
        total += bytes.length;
        cachedBytes.set(total);
      } catch (thrown) {
        // Only slower without it.
        logger.warn({ err: thrown, folder }, 'a shard could not be kept on disk');
        await rm(`${path(sha256)}${partSuffix}`, { force: true }).catch(() => {});
      }
    });
    return writing;
  };

  const fetching = new Map<string, Promise<Uint8Array>>();
  const fetchOnce = async (file: DatasetFile, dataset: string): Promise<Uint8Array> => {
    const found = await fromDisk(file, dataset);
    reads.inc({ from: found === null ? 'store' : 'cache' });
    if (found !== null) return found;
    const bytes = await fromStore(file, dataset);
    await keep(file.sha256, bytes);
    return bytes;
  };

  await makeRoom(0);
  cachedBytes.set(total);
  return {
    async fetch(file, dataset) {
      const { sha256 } = file;
      const underWay = fetching.get(sha256);
      if (underWay !== undefined) {
        // A copy, made before the first asker goes on: that one may move its memory to another thread.
        const copy = await underWay.then((bytes) => bytes.slice()).catch(() => null);
        if (copy !== null) return copy;
      }
      const first = fetchOnce(file, dataset);
      fetching.set(sha256, first);
      try {
        return await first;
      } finally {
        fetching.delete(sha256);
      }
    },
    bytes: () => total,
  };
}

/** Reads a shard into memory of its own, hashing part by part. DATA_LOSS when hash or length do not hold. */
async function readChecked(parts: AsyncIterable<Uint8Array>, { sha256, size }: DatasetFile): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  const hash = createHash('sha256');
  let end = 0;
  for await (const part of parts) {
    if (end + part.length > size) throw damaged(`it has more than ${size} bytes`);
    bytes.set(part, end);
    hash.update(part);
    end += part.length;
  }
  if (end !== size) throw damaged(`it has ${end} bytes, not ${size}`);
  const got = hash.digest('hex');
  if (got !== sha256) throw damaged(`its SHA-256 is ${got}`);
  return bytes;
}

function damaged(problem: string): KindredError {
  return new KindredError('DATA_LOSS', problem);
}

/** Finds the whole shards in the folder, the longest unused first; removes what was half written. */
async function readKept(folder: string): Promise<Map<string, number>> {
  const found: { name: string; size: number; time: number }[] = [];
  for (const name of await readdir(folder)) {
    const file = join(folder, name);
    if (name.endsWith(partSuffix)) await rm(file, { force: true });
    if (!/^[0-9a-f]{64}$/.test(name)) continue;
    const { size, mtimeMs } = await stat(file);
    found.push({ name, size, time: mtimeMs });
  }
  return new Map(found.sort((a, b) => a.time - b.time).map(({ name, size }) => [name, size]));
}

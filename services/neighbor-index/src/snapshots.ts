// Snapshots: a collection's files in the artifact store, each named with its SHA-256, and beside them files for plain faiss.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { ArtifactStore } from '@kindred/artifact-store';
import { KindredError, invalidField, notFound } from '@kindred/errors';
import { exportFaiss } from '@kindred/faiss-native';
import { z } from 'zod';
import type { EmbeddedCollection } from './collection/embedded-collection.js';
import {
  deadPath,
  manifestBytes,
  manifestPath,
  segmentPath,
  unfinishedPath,
  type Manifest,
} from './collection/manifest.js';
import type { SealedPart } from './collection/contents.js';
import type { EmbeddedEngine } from './engine/embedded-engine.js';
import { readPieces, readWhole, replaceWhole } from './storage/disk.js';
import { collectionSpecSchema } from './engine/spec.js';

/** Names joined by slashes, none of which begins with a dot: nothing outside of a collection's folder. */
const pathForm = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;

const listSchema = z.object({
  version: z.literal(1),
  collection: z.string(),
  createTime: z.iso.datetime(),
  size: z.number().int(),
  spec: collectionSpecSchema,
  /** Paths below the collection's folder; those that begin with `faiss/` are for other readers. */
  files: z.array(z.object({ path: z.string().regex(pathForm), sha256: z.string(), bytes: z.number().int() })),
});

/** A snapshot as the contract tells it. */
export interface SnapshotSummary {
  readonly snapshotId: string;
  readonly collection: string;
  readonly createTime: Date;
  readonly size: number;
  readonly bytes: number;
  readonly key: string;
  readonly sha256: string;
  readonly faissKeys: readonly string[];
}

/** The snapshots of the embedded engine. */
export interface Snapshots {
  /** Copies a collection as it stands. */
  make(collection: EmbeddedCollection): Promise<SnapshotSummary>;
  /** Newest last; none for a collection that there never was. */
  list(collection: string): Promise<SnapshotSummary[]>;
  /** Makes the collection `target`, whose name is free, from a snapshot; '' as id: the newest. RESOURCE_EXHAUSTED: a quota. */
  restore(source: string, snapshotId: string, target: string): Promise<EmbeddedCollection>;
}

const idForm = /^\d{8}T\d{9}Z-[0-9a-f]{12}$/;
const prefixOf = (collection: string): string => `collections/${collection}/snapshots/`;

/** Makes and reads snapshots in `store`. */
export function createSnapshots(store: ArtifactStore, engine: EmbeddedEngine): Snapshots {
  const { disk } = engine;

  const make = async (collection: EmbeddedCollection): Promise<SnapshotSummary> => {
    const { name, maintenance, files } = collection;
    await maintenance.checkpoint();
    // The parts stay as they are while they are copied; writes go on in the log, which is not part of it.
    return maintenance.exclusively(async () => {
      const createTime = new Date();
      const manifest = files.manifest;
      const sealed = collection.contents.sealed;
      const staging = `${prefixOf(name)}unfinished-${createTime.getTime()}/`;
      const entries: { path: string; sha256: string; bytes: number }[] = [];
      const put = async (path: string, content: Parameters<ArtifactStore['put']>[1]): Promise<void> => {
        const { sha256, size } = await store.put(`${staging}${path}`, content);
        entries.push({ path, sha256, bytes: size });
      };
      try {
        for (const { path, content } of await filesOf(collection, manifest)) await put(path, content);
        for (const one of sealed) await putFaiss(collection, one, put);
        const size = sealed.reduce(
          (sum, { saved, entry }) => sum + (saved === null ? entry.rows : ones(saved, entry.rows)),
          0,
        );
        const list = {
          version: 1,
          collection: name,
          createTime: createTime.toISOString(),
          size,
          spec: manifest.spec,
          files: entries,
        } as const;
        const body = Buffer.from(`${JSON.stringify(list, null, 1)}\n`);
        const sha256 = createHash('sha256').update(body).digest('hex');
        const snapshotId = `${createTime.toISOString().replaceAll(/[-:.]/g, '')}-${sha256.slice(0, 12)}`;
        const prefix = `${prefixOf(name)}${snapshotId}/`;
        for (const { path } of entries) await store.put(`${prefix}${path}`, store.read(`${staging}${path}`));
        // The list last: a snapshot without it is none.
        await store.put(`${prefix}snapshot.json`, body);
        return summaryOf(snapshotId, list, `${prefix}snapshot.json`, sha256);
      } finally {
        for await (const { key } of store.list(staging)) await store.delete(key);
      }
    });
  };

  const filesOf = async ({ files, contents }: EmbeddedCollection, manifest: Manifest) => {
    const at = (path: string): string => path.slice(files.folder.length + 1);
    // An index that could not be read is no part of a copy: who restores it builds it.
    const readable = new Set(contents.sealed.flatMap(({ part, entry }) => (part.index === null ? [] : entry.number)));
    const segments = manifest.segments.map((one) => (readable.has(one.number) ? one : { ...one, index: null }));
    // A restored collection begins with an empty log.
    const whole: Manifest = { ...manifest, segments, firstLog: 1 };
    return [
      { path: 'manifest.json', content: await manifestBytes(whole) },
      ...segments
        .flatMap(({ number, index }) =>
          (['points', 'index'] as const)
            .filter((part) => part === 'points' || index !== null)
            .map((part) => segmentPath(files.folder, number, part)),
        )
        .map((path) => ({ path: at(path), content: readPieces(disk, path) })),
      ...(manifest.dead === null ? [] : [deadPath(files.folder, manifest.dead.number)]).map((path) => ({
        path: at(path),
        content: readPieces(disk, path),
      })),
    ];
  };

  const putFaiss = async (
    { files, spec }: EmbeddedCollection,
    { part, entry, saved }: SealedPart,
    put: (path: string, content: AsyncIterable<Uint8Array>) => Promise<void>,
  ): Promise<void> => {
    const path = disk.locate(`${files.folder}/segments/export.faiss`);
    if (path === null) return;
    const texts = part.texts !== null;
    const ids = BigInt64Array.from({ length: entry.rows }, (_, row) =>
      saved !== null && (saved[row >> 3]! & (1 << (row & 7))) === 0
        ? -1n
        : texts
          ? BigInt(row)
          : BigInt.asIntN(64, part.ids[row]!),
    );
    // An index that could not be read is built again some time; plain faiss gets the rows as they are.
    const readable = entry.index !== null && part.index !== null;
    const bytes = !readable ? null : await readWhole(disk, segmentPath(files.folder, entry.number, 'index'));
    try {
      const rows = { vectors: part.vectors, rows: entry.rows, dimension: spec.dimension };
      await exportFaiss(rows, { path, bytes, l2: spec.metric === 'l2', ids });
      await put(
        `faiss/${String(entry.number).padStart(8, '0')}.faiss`,
        createReadStream(path) as AsyncIterable<Uint8Array>,
      );
    } finally {
      await rm(path, { force: true });
    }
  };

  const readList = async (collection: string, snapshotId: string) => {
    if (!idForm.test(snapshotId))
      throw invalidField('snapshot_id', `got '${snapshotId.slice(0, 80)}'; allowed: an id that Snapshot gave`);
    const key = `${prefixOf(collection)}${snapshotId}/snapshot.json`;
    if ((await store.describe(key)) === null) throw notFound('snapshot', `${collection}/${snapshotId}`);
    const bytes = await store.get(key);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (!snapshotId.endsWith(sha256.slice(0, 12))) {
      throw new KindredError('DATA_LOSS', `${key} is damaged: its SHA-256 is ${sha256}, which its id does not say`, {
        resource: { type: 'artifact', name: key },
      });
    }
    const list = listOf(bytes, key);
    return { list, summary: summaryOf(snapshotId, list, key, sha256) };
  };
  const idsOf = async (collection: string): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { key } of store.list(prefixOf(collection))) {
      const id = /\/([^/]+)\/snapshot\.json$/.exec(key)?.[1] ?? '';
      if (idForm.test(id)) ids.push(id);
    }
    return ids.sort();
  };

  return {
    make,
    async list(collection) {
      const summaries: SnapshotSummary[] = [];
      for (const id of await idsOf(collection)) summaries.push((await readList(collection, id)).summary);
      return summaries;
    },
    async restore(source, snapshotId, target) {
      const id = snapshotId === '' ? ((await idsOf(source)).at(-1) ?? '') : snapshotId;
      if (id === '') throw notFound('snapshot', `${source}/newest`);
      const { list } = await readList(source, id);
      const wanted = list.files.filter(({ path }) => !path.startsWith('faiss/'));
      // What it takes on the disk it takes in memory, about; both are asked for before the first byte.
      const giveBack = engine.quotas.reserve(
        list.size,
        wanted.reduce((sum, { bytes }) => sum + bytes, 0),
      );
      try {
        return await restoreFiles(source, id, target, wanted);
      } finally {
        giveBack();
      }
    },
  };

  async function restoreFiles(
    source: string,
    id: string,
    target: string,
    wanted: z.output<typeof listSchema>['files'],
  ): Promise<EmbeddedCollection> {
    const folder = engine.folderOf(target);
    await disk.removeFolder(folder);
    for (const path of [folder, `${folder}/log`, `${folder}/segments`]) await disk.makeFolder(path);
    try {
      await replaceWhole(disk, unfinishedPath(folder), []);
      for (const { path, sha256 } of wanted.filter((file) => file.path !== 'manifest.json')) {
        await replaceWhole(disk, `${folder}/${path}`, store.read(`${prefixOf(source)}${id}/${path}`, { sha256 }));
      }
      const manifest = wanted.find(({ path }) => path === 'manifest.json');
      if (manifest === undefined) throw new KindredError('DATA_LOSS', `snapshot '${id}' has no manifest`);
      const bytes = await store.get(`${prefixOf(source)}${id}/manifest.json`, manifest.sha256);
      await replaceWhole(disk, manifestPath(folder), [bytes]);
      return await engine.adopt(target);
    } catch (thrown) {
      await disk.removeFolder(folder);
      throw thrown;
    }
  }
}

function summaryOf(
  snapshotId: string,
  list: z.output<typeof listSchema>,
  key: string,
  sha256: string,
): SnapshotSummary {
  const folder = key.slice(0, key.lastIndexOf('/') + 1);
  return {
    snapshotId,
    collection: list.collection,
    createTime: new Date(list.createTime),
    size: list.size,
    bytes: list.files.reduce((sum, { bytes }) => sum + bytes, 0),
    key,
    sha256,
    faissKeys: list.files.flatMap(({ path }) => (path.startsWith('faiss/') ? [`${folder}${path}`] : [])),
  };
}

function listOf(bytes: Uint8Array, key: string): z.output<typeof listSchema> {
  try {
    return listSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (cause) {
    throw new KindredError('DATA_LOSS', `${key} is no list of a snapshot of this version; restore another snapshot`, {
      resource: { type: 'artifact', name: key },
      cause,
    });
  }
}

function ones(bits: Uint8Array, rows: number): number {
  let count = 0;
  for (let row = 0; row < rows; row++) count += (bits[row >> 3]! >> (row & 7)) & 1;
  return count;
}

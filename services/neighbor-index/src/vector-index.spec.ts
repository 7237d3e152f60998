import { join } from 'node:path';
import { createFolderStore } from '@kindred/artifact-store';
import { createFaissEngine } from '@kindred/faiss-native';
import { temporaryFolder } from '@kindred/testing';
import { afterAll, expect, it } from 'vitest';
import { classify } from './classification.js';
import { writeSegments, type Manifest } from './segment.js';
import { openVectorIndex } from './vector-index.js';

const engine = createFaissEngine();
const folder = temporaryFolder('vector-index');
afterAll(() => engine.close());

it('counts what faiss cannot rank as no neighbour', async () => {
  const store = await createFolderStore(join(folder, 'artifacts'));
  const empty: Manifest = {
    version: 1,
    dimension: 4,
    description: '',
    createTime: new Date().toISOString(),
    nextSegment: 0,
    segments: [],
  };
  // Vectors that were stored before their norm was bounded: their products with the queries are -infinity.
  const manifest = await writeSegments(store, 'old', empty, {
    ids: BigUint64Array.of(7n, 8n),
    vectors: Float32Array.of(1, 1, 1, 1, 3e38, 3e38, 3e38, 3e38),
    labels: Int32Array.of(1, 2),
  });
  const index = await openVectorIndex('old', manifest, { store, engine, onCompactionError: () => {} });
  const queries = Float32Array.of(-1e3, -1e3, -1e3, -1e3, 1, 0, 0, 0);
  const { signal } = new AbortController();
  const { counts, ids, labels } = await index.search(queries, 2, signal);
  expect([...counts]).toEqual([1, 2]);
  expect([ids[0], ids[2], ids[3]]).toEqual([7n, 8n, 7n]);
  expect([...labels]).toEqual([1, -1, 2, 1]);
  const [vote] = await classify(index, queries, { k: 2, temperature: 1 }, signal);
  expect(vote).toEqual({ label: 1, shares: [{ label: 1, share: 1 }] });
  await index.close();
});

// What indexes of vectors refer to: the segments that their own manifests name.
import { z } from 'zod';
import type { ReferenceNotes } from './references.js';
import { readStoredJson } from './stored-json.js';

/** Manifests of another version say nothing here: all that such an index has is kept. */
const indexSchema = z.union([
  z.object({ version: z.literal(1), segments: z.array(z.object({ key: z.string(), sha256: z.string() })) }),
  z.object({ version: z.number().int().min(2) }),
]);

/** What is left when an index was deleted, or its deletion was cut short. */
const leftover = /^indexes\/[^/]+\/(segments\/.*|topk-[^/]+\.npy)$/;

/** Notes the segments of each index. */
export async function addIndexes(notes: ReferenceNotes): Promise<void> {
  const manifests: string[] = [];
  for await (const { key } of notes.store.list('indexes/')) {
    const [, id = '', file, ...below] = key.split('/');
    if (leftover.test(key)) continue;
    notes.indexes.set(id, false);
    if (file === 'index.json' && below.length === 0) manifests.push(id);
  }
  for (const id of manifests) {
    const key = `indexes/${id}/index.json`;
    const index = await readStoredJson(notes.store, key, indexSchema);
    if ('absent' in index) continue;
    notes.refer(key, null, `index ${id}`);
    if ('problem' in index) notes.damaged(key, index.problem);
    if (!('value' in index) || !('segments' in index.value)) continue;
    notes.indexes.set(id, true);
    for (const segment of index.value.segments) notes.refer(segment.key, segment.sha256, `index ${id}`);
  }
}

// What indexes of vectors refer to: the segments that their own manifests name.
import { z } from 'zod';
import type { ReferenceNotes } from './references.js';
import { readStoredJson } from './stored-json.js';

const indexSchema = z.object({ segments: z.array(z.object({ key: z.string(), sha256: z.string() })) });

/** Notes the segments of each index. */
export async function addIndexes(notes: ReferenceNotes): Promise<void> {
  for await (const { key } of notes.store.list('indexes/')) {
    const id = /^indexes\/([^/]+)\/index\.json$/.exec(key)?.[1];
    if (id === undefined) continue;
    const index = await readStoredJson(notes.store, key, indexSchema);
    if ('absent' in index) continue;
    notes.indexes.set(id, 'value' in index);
    notes.refer(key, null, `index ${id}`);
    if ('problem' in index) notes.damaged(key, index.problem);
    else for (const segment of index.value.segments) notes.refer(segment.key, segment.sha256, `index ${id}`);
  }
}

// What datasets in the store refer to: names and runs to descriptions, descriptions to shards.
import { datasetSetKey, datasetSetPrefix, datasetSetSchema, datasetShardKey } from './dataset-set.js';
import type { ReferenceNotes } from './references.js';
import { listManifests } from './manifests.js';
import { readStoredJson } from './stored-json.js';

/** Notes the descriptions and shards of datasets that have a name, or that a run has pinned. */
export async function addDatasets(notes: ReferenceNotes): Promise<void> {
  const wanted = new Map<string, string>();
  for await (const { id, manifest } of listManifests(notes.store, ['dataset'])) {
    const set = manifest?.config['set'];
    if (typeof set === 'string') wanted.set(set, `dataset ${id}`);
  }
  for (const [name, by] of notes.namedDatasets) {
    const hash = /^artifact:[^@]+@([0-9a-f]{8,64})$/.exec(name)?.[1];
    if (hash === undefined) continue;
    const before = wanted.size;
    for await (const { key } of notes.store.list(`${datasetSetPrefix}${hash}`))
      wanted.set(key.slice(datasetSetPrefix.length, -'.json'.length), by);
    const isKnown = wanted.size > before || [...wanted.keys()].some((sha256) => sha256.startsWith(hash));
    // The whole name of what is gone is not known; nor is which shards were its own.
    if (!isKnown) notes.missingDataset(`${datasetSetPrefix}${hash}…`, by);
  }
  for (const [sha256, by] of wanted) {
    const key = datasetSetKey(sha256);
    notes.refer(key, sha256, by);
    const set = await readStoredJson(notes.store, key, datasetSetSchema);
    if ('problem' in set) notes.damaged(key, set.problem);
    if ('absent' in set) notes.missingDataset(key, by);
    if (!('value' in set)) continue;
    for (const { index, shards } of Object.values(set.value.splits))
      for (const file of [index, ...shards]) notes.refer(datasetShardKey(file.sha256), file.sha256, by);
  }
}

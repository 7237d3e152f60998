// What manifests refer to, as long as what they tell of is there.
import type { Manifest } from './manifest.js';
import { listManifests } from './manifests.js';
import type { ReferenceNotes } from './references.js';

/** Notes the files of each manifest whose artifact is alive; the others are dead, and so are files that only they list. */
export async function addManifests(notes: ReferenceNotes): Promise<void> {
  const dead: Manifest[] = [];
  for await (const { key, kind, id, manifest } of listManifests(notes.store)) {
    const by = `${kind} ${id}`;
    if (manifest === null) {
      notes.damaged(key, 'is no whole manifest');
      continue;
    }
    if (!isAlive(notes, manifest)) {
      notes.deadManifests.add(key);
      dead.push(manifest);
      continue;
    }
    notes.refer(key, null, by);
    // Files of a run under way may come and go; its commits say which count.
    for (const file of manifest.files) notes.refer(file.key, file.sha256, by, kind === 'run');
  }
  for (const { files } of dead) for (const { key } of files) if (!notes.isReferred(key)) notes.deadFiles.add(key);
}

function isAlive(notes: ReferenceNotes, { kind, id, inputs, files }: Manifest): boolean {
  switch (kind) {
    case 'run':
      return notes.runs.has(id);
    case 'model':
      return notes.runs.has(id) || files.some(({ key }) => notes.isReferred(key));
    case 'feature-set': {
      const models = inputs.filter((input) => input.kind === 'model');
      const isThere = (model: Manifest['inputs'][number]): boolean =>
        notes.runs.has(model.id) || (model.sha256 !== null && notes.hasContent(model.sha256));
      return models.length === 0 || models.some(isThere);
    }
    case 'index':
      // A collection's points lie on the service's own disk: of one that has mined its files stay until they are deleted.
      return notes.indexes.has(id) || files.every(({ key }) => !key.startsWith('indexes/'));
    case 'dataset':
      return true;
  }
}

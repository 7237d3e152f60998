// What the registry of models refers to.
import { registryPrefix } from './model-registry.js';
import type { ReferenceNotes } from './references.js';
import { registeredModelSchema } from './registered-model.js';
import { readStoredJson } from './stored-json.js';

/** Notes the file of each version of each model. */
export async function addModels(notes: ReferenceNotes): Promise<void> {
  for await (const { key } of notes.store.list(registryPrefix)) {
    const model = await readStoredJson(notes.store, key, registeredModelSchema);
    if ('problem' in model) notes.damaged(key, model.problem);
    if (!('value' in model)) continue;
    const { name, versions } = model.value;
    for (const { version, key: file, sha256 } of versions) notes.refer(file, sha256, `model ${name}@${version}`);
  }
}

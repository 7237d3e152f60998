// What runs refer to: their own objects, the checkpoints that their commits name, the datasets that they were given.
import { z } from 'zod';
import { runModelKey } from './model-registry.js';
import type { ReferenceNotes } from './references.js';
import { readStoredJson } from './stored-json.js';

const recordSchema = z.object({
  state: z.string(),
  specification: z.object({ experiment: z.record(z.string(), z.unknown()) }),
});
const commitSchema = z.object({
  checkpoint: z.object({ key: z.string(), sha256: z.string(), best: z.boolean().optional() }),
});
const endedStates = ['succeeded', 'failed', 'cancelled'];

/** Notes what each run refers to. */
export async function addRuns(notes: ReferenceNotes): Promise<void> {
  const commits = new Map<string, string[]>();
  const models: string[] = [];
  for await (const { key } of notes.store.list('runs/')) {
    const [, id = '', area = '', name] = key.split('/');
    if (area === 'run.json' && name === undefined) notes.runs.set(id, { ended: null, commitsKnown: false });
    if (area === 'commits' && name?.endsWith('.json') === true) commits.set(id, [...(commits.get(id) ?? []), key]);
    if (key === runModelKey(id)) models.push(id);
  }
  for (const id of notes.runs.keys()) await addRun(notes, id, commits.get(id) ?? []);
  for (const id of models) if (notes.runs.has(id)) notes.refer(runModelKey(id), null, `run ${id}`);
}

async function addRun(notes: ReferenceNotes, id: string, commitKeys: readonly string[]): Promise<void> {
  const key = `runs/${id}/run.json`;
  const by = `run ${id}`;
  const record = await readStoredJson(notes.store, key, recordSchema);
  if ('absent' in record) {
    notes.runs.delete(id);
    return;
  }
  notes.refer(key, null, by);
  if ('problem' in record) notes.damaged(key, record.problem);
  let commitsKnown = true;
  const checkpoints: z.output<typeof commitSchema>['checkpoint'][] = [];
  let newest: (typeof checkpoints)[number] | undefined;
  for (const commitKey of commitKeys) {
    const commit = await readStoredJson(notes.store, commitKey, commitSchema);
    notes.refer(commitKey, null, by, true);
    newest = 'value' in commit ? commit.value.checkpoint : undefined;
    if (newest !== undefined) checkpoints.push(newest);
    else {
      commitsKnown = false;
      if ('problem' in commit) notes.damaged(commitKey, commit.problem);
    }
  }
  // Older ones are deleted in time: the run goes on from the newest, and keeps the best by kNN.
  const best = checkpoints.findLast((checkpoint) => checkpoint.best === true);
  for (const checkpoint of checkpoints)
    notes.refer(checkpoint.key, checkpoint.sha256, by, checkpoint !== newest && checkpoint !== best);
  const ended = 'value' in record ? endedStates.includes(record.value.state) : null;
  notes.runs.set(id, { ended, commitsKnown });
  if (!('value' in record)) return;
  const { train_db_name: train, val_db_name: validation } = record.value.specification.experiment;
  for (const name of [train, validation]) if (typeof name === 'string') notes.namedDatasets.set(name, by);
}

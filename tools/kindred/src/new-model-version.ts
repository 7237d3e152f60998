// What a model's new version is made of: a run's model, or a file that lies in the store.
import { createHash } from 'node:crypto';
import { checkedKey, type ArtifactStore } from '@kindred/artifact-store';
import { notFound } from '@kindred/errors';
import { decodeSafetensors } from '@kindred/formats';
import { runModelKey, type NewModelVersion } from '@kindred/lineage';

/**
 * Describes the model file of a run (`source` without a slash) or at a key, for the registry. NOT_FOUND when there is
 * none; DATA_LOSS or INVALID_ARGUMENT when it is no whole safetensors file.
 */
export async function newVersionOf(
  store: ArtifactStore,
  source: string,
  description: string,
): Promise<NewModelVersion> {
  const key = checkedKey(source.includes('/') ? source : runModelKey(source));
  const runId = /^runs\/([^/]+)\//.exec(key)?.[1];
  if ((await store.describe(key)) === null) throw notFound(key === source ? 'artifact' : 'run', source);
  const file = await store.get(key);
  decodeSafetensors(file, key);
  return {
    key,
    sha256: createHash('sha256').update(file).digest('hex'),
    size: file.length,
    source: runId === undefined ? { kind: 'import', id: key } : { kind: 'run', id: runId },
    description,
  };
}

// Where files of neighbours come from: a collection's manifest, to which each mining job adds its file.
import type { ArtifactStore } from '@kindred/artifact-store';
import { codeVersion, updateManifest, type ManifestFile, type ManifestInput } from '@kindred/lineage';
import type { Collection } from './engine/engine.js';

/** What a mining job has found out. */
export interface MinedNeighbours {
  /** Points of the collection. */
  readonly rows: number;
  /** Neighbours a point. */
  readonly k: number;
  /** Percent; null unless every point has a label and k neighbours. */
  readonly accuracy: number | null;
}

/** Adds a file of neighbours to the manifest of its collection, in the place of one of the same key. */
export async function recordNeighbours(
  store: ArtifactStore,
  { name, spec: { dimension, metric, description } }: Collection,
  file: ManifestFile,
  { rows, k, accuracy }: MinedNeighbours,
): Promise<void> {
  const producer = { program: 'neighbor-index', version: await codeVersion() };
  await updateManifest(store, 'index', name, (before) => ({
    kind: 'index',
    id: name,
    producer,
    inputs: before?.inputs ?? ([] as ManifestInput[]),
    config: { dimension, metric, description },
    seed: null,
    metrics: {
      ...before?.metrics,
      vectors: rows,
      ...(accuracy === null ? {} : { [`neighbour_accuracy_${k}_percent`]: accuracy }),
    },
    files: [...(before?.files ?? []).filter(({ key }) => key !== file.key), file],
  }));
}

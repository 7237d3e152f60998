// Where files of neighbours come from: an index's manifest, to which each mining job adds its file.
import type { ArtifactStore } from '@kindred/artifact-store';
import { codeVersion, updateManifest, type ManifestFile, type ManifestInput } from '@kindred/lineage';
import type { VectorIndex } from './vector-index.js';

/** What a mining job has found out. */
export interface MinedNeighbours {
  /** Neighbours a vector. */
  readonly k: number;
  /** Percent; null unless every vector has a label and k neighbours. */
  readonly accuracy: number | null;
}

/** Adds a file of neighbours to the manifest of its index, in the place of one of the same key. */
export async function recordNeighbours(
  store: ArtifactStore,
  { id, size, manifest: { dimension, description } }: VectorIndex,
  file: ManifestFile,
  { k, accuracy }: MinedNeighbours,
): Promise<void> {
  const producer = { program: 'neighbor-index', version: await codeVersion() };
  await updateManifest(store, 'index', id, (before) => ({
    kind: 'index',
    id,
    producer,
    inputs: before?.inputs ?? ([] as ManifestInput[]),
    config: { dimension, description },
    seed: null,
    metrics: {
      ...before?.metrics,
      vectors: size,
      ...(accuracy === null ? {} : { [`neighbour_accuracy_${k}_percent`]: accuracy }),
    },
    files: [...(before?.files ?? []).filter(({ key }) => key !== file.key), file],
  }));
}

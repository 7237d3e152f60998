// Where features come from: the manifest beside the files of a dataset job.
import type { ArtifactStore } from '@kindred/artifact-store';
import { codeVersion, writeManifest, type ManifestFile } from '@kindred/lineage';
import type { DatasetEmbedding } from './dataset-embedding.js';
import { splitText } from './wire.js';

/** Writes the manifest of features: by which model, of which dataset (`contentSha256`: null where that is not known). */
export async function recordFeatures(
  store: ArtifactStore,
  job: DatasetEmbedding,
  contentSha256: string | null,
  files: readonly ManifestFile[],
): Promise<void> {
  const { model, modelSha256, dataset, kind, cropSize, dimension, total, indexId, featuresKey } = job;
  const split = splitText(dataset.split);
  await writeManifest(store, {
    kind: 'feature-set',
    id: featuresKey.replace(/^features\//, '').replace(/-features\.npy$/, ''),
    producer: { program: 'embedding', version: await codeVersion() },
    inputs: [
      { kind: 'model', id: model, sha256: modelSha256 },
      { kind: 'dataset', id: `${dataset.name}/${split}`, sha256: contentSha256 },
    ],
    config: {
      feature_kind: kind,
      crop_size: cropSize,
      dataset: { name: dataset.name, split, root: dataset.root },
      index: indexId,
    },
    seed: dataset.name === 'drawn' ? String(dataset.drawnSeed) : null,
    metrics: { images: total, dimension },
    files: files.map(({ key, sha256, size }) => ({ key, sha256, size })),
  });
}

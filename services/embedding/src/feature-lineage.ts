// Where features come from: the manifest beside the files of a dataset job.
import type { ArtifactStore } from '@kindred/artifact-store';
import { codeVersion, writeManifest, type ManifestFile } from '@kindred/lineage';
import type { DatasetEmbedding } from './dataset-embedding.js';
import type { ServedModel } from './models/served-model.js';
import { splitText } from './wire.js';

/** Writes the manifest of features: by which model, of which dataset (`contentSha256`: null where that is not known). */
export async function recordFeatures(
  store: ArtifactStore,
  job: DatasetEmbedding,
  { model, facts }: Pick<ServedModel, 'model' | 'facts'>,
  contentSha256: string | null,
  files: readonly ManifestFile[],
): Promise<void> {
  const { dataset, kind, dimension, total, indexId, featuresKey } = job;
  // A run's model is known by the run, under whatever name it is registered too.
  const run = /^runs\/([^/]+)\//.exec(model.key)?.[1];
  const split = splitText(dataset.split);
  await writeManifest(store, {
    kind: 'feature-set',
    id: featuresKey.replace(/^features\//, '').replace(/-features\.npy$/, ''),
    producer: { program: 'embedding', version: await codeVersion() },
    inputs: [
      { kind: 'model', id: run ?? model.name, sha256: model.sha256 },
      { kind: 'dataset', id: `${dataset.name}/${split}`, sha256: contentSha256 },
    ],
    config: {
      feature_kind: kind,
      crop_size: facts.cropSize,
      dataset: { name: dataset.name, split, root: dataset.root },
      index: indexId,
    },
    seed: dataset.name === 'drawn' ? String(dataset.drawnSeed) : null,
    metrics: { images: total, dimension },
    files: files.map(({ key, sha256, size }) => ({ key, sha256, size })),
  });
}

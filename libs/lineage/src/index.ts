// Lineage: what was made from what, which model a name stands for, what is damaged, what nothing needs any more.

// Manifests
export {
  listManifests,
  manifestKey,
  manifestPrefix,
  readManifest,
  updateManifest,
  writeManifest,
} from './manifests.js';
export type { FoundManifest } from './manifests.js';
export { manifestKinds } from './manifest.js';
export type { Manifest, ManifestFile, ManifestInput, ManifestKind, NewManifest } from './manifest.js';
export { codeVersion } from './code-version.js';

// Registry of models
export { createModelRegistry, registryKey, registryPrefix, runModelKey } from './model-registry.js';
export type { DamagedModel, ModelListing, ModelRegistry, ResolvedModel } from './model-registry.js';
export { checkedAlias, checkedModelName, latestAlias, parseModelReference } from './model-reference.js';
export type { ModelReference } from './model-reference.js';
export type { ModelVersion, NewModelVersion, RegisteredModel } from './registered-model.js';
export { watchModel } from './watch-model.js';
export type { WatchModelOptions } from './watch-model.js';

// Datasets
export {
  checkedDatasetName,
  datasetBaseName,
  datasetPushPrefix,
  datasetSetKey,
  datasetSetSchema,
  datasetShardKey,
  isDatasetArtifact,
  isDatasetReference,
  parseDatasetArtifact,
  pinnedDatasetArtifact,
  readDatasetSet,
  resolveDatasetArtifact,
} from './dataset-set.js';
export type {
  DatasetArtifactReference,
  DatasetFile,
  DatasetSet,
  DatasetSetSplit,
  DatasetShard,
  ResolvedDataset,
} from './dataset-set.js';

// The store as a whole
export { collectGarbage } from './collect-garbage.js';
export type { Garbage, GarbageCollection, GarbageOptions } from './collect-garbage.js';
export { verifyStore } from './verify-store.js';
export type { StoreFault, Verification, VerifyOptions } from './verify-store.js';
export type { LineageStore, PutConditions, StoredObject } from './lineage-store.js';

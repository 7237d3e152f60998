// Lineage: the registry of models.
export { createModelRegistry, registryKey, registryPrefix, runModelKey } from './model-registry.js';
export type { ModelRegistry, ResolvedModel } from './model-registry.js';
export { checkedAlias, checkedModelName, latestAlias, parseModelReference } from './model-reference.js';
export type { ModelReference } from './model-reference.js';
export type { ModelVersion, NewModelVersion, RegisteredModel } from './registered-model.js';
export { watchModel } from './watch-model.js';
export type { WatchModelOptions } from './watch-model.js';
export type { LineageStore, PutConditions, StoredObject } from './lineage-store.js';

// The reference's two YAML files: checked, with defaults and overrides.
export { canonicalJson, readEnvironment, readExperiment } from './read.js';
export type { ExperimentSource } from './read.js';
export type { Environment, Experiment } from './schema.js';

// What the acceptance suite of the manifests shares with the specs here.
export { customResources, kubernetesApi, kubernetesVersion } from './go-modules.js';
export {
  manifestsFolder,
  parseManifests,
  podTemplateOf,
  readFolder,
  type Manifest,
  type PodTemplate,
} from './manifest-files.js';
export { schemaFilePattern, writeSchemas, type CustomResource, type OpenApi } from './schemas.js';

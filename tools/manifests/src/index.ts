// What the acceptance suite of the manifests shares with the specs here.
export { customResources, kubernetesApi, kubernetesVersion, moduleFolder } from './go-modules.js';
export {
  checkoutRoot,
  manifestsFolder,
  parseManifests,
  podTemplateOf,
  readFolder,
  type Manifest,
  type PodTemplate,
} from './manifest-files.js';
export { quantity } from './quantities.js';
export { schemaFilePattern, writeSchemas, type CustomResource, type OpenApi } from './schemas.js';

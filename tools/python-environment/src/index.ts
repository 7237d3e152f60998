// Python environments, made from pinned requirements when first needed and kept in the user's cache folder.
export { environmentName, pythonWith } from './python-environment.js';
export type { PythonRequirements } from './python-environment.js';

// The contract as code. Each package of proto/ is an entry of its own: `@kindred/protocol/augmentation`, `…/training`,
// `…/embedding`, `…/neighbors`, `…/inference`; this entry holds what belongs to all of them.
export { readDescriptorSet } from './descriptors.js';
export { maxMessageBytes, maxPixelBytes } from './limits.js';

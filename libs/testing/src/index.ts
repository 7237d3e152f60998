// Test support: golden data, temporary folders.
export { goldenFolder, readGoldenJson, readGoldenNpy } from './golden.js';
export type { GoldenArray } from './golden.js';
export { temporaryFolder } from './temporary-folder.js';

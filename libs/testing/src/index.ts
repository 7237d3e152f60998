// Test support: golden and recorded data, temporary folders, disks that can be filled, the content of events.
export { blankPng } from './blank-png.js';
export { goldenFolder, readGoldenJson, readGoldenNpy, readRecordedJson, readRecordedNpy } from './golden.js';
export type { GoldenArray } from './golden.js';
export { eventContent, measuredFields } from './event-content.js';
export { fillDisk, smallDisk } from './small-disk.js';
export type { SmallDisk } from './small-disk.js';
export { temporaryFolder } from './temporary-folder.js';

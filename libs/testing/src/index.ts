// Test support: golden and recorded data, temporary folders, disks that can be filled, the content of events, S3 servers.
export { blankPng, claimingPng } from './blank-png.js';
export { goldenFolder, readGoldenJson, readGoldenNpy, readRecordedJson, readRecordedNpy } from './golden.js';
export type { GoldenArray } from './golden.js';
export { goProgram } from './go-program.js';
export type { GoProgramName } from './go-program.js';
export { freePort, startS3Server } from './s3-server.js';
export type { S3Server, S3ServerKind, S3ServerOptions } from './s3-server.js';
export { eventContent, measuredFields } from './event-content.js';
export { fillDisk, smallDisk } from './small-disk.js';
export type { SmallDisk } from './small-disk.js';
export { createMemoryStore } from './memory-store.js';
export type { MemoryObject, MemoryStore } from './memory-store.js';
export { temporaryFolder } from './temporary-folder.js';
export { startWeaviateCluster } from './weaviate-cluster.js';
export type { WeaviateTestCluster } from './weaviate-cluster.js';

// Test support: limits.
import type { Limits } from '../limits.js';

/** Small enough to be passed in a test. */
export const testLimits: Limits = {
  maxVectors: 20_000,
  maxMemoryBytes: 512 * 1024 * 1024,
  maxDiskBytes: 1024 * 1024 * 1024,
  maxCollections: 100,
  maxUpsertBytes: 16 * 1024 * 1024,
  maxMiningJobs: 4,
};

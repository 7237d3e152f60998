// What requests and the service as a whole are held to; GetInfo tells all of it.

import { maxMessageBytes } from '@kindred/protocol';

/** Bounds that the contract states, the same for every service. */
export const contractLimits = {
  dimension: 65_536,
  k: 2048,
  queries: 4096,
  /** Neighbours an answer: an answer is built in one go on the event loop. */
  neighbors: 1_000_000,
  /** Bytes of the vectors that the answer to a search may have to hold. */
  answerVectorBytes: 48 * 1024 * 1024,
  /** Bytes of an answer's points or neighbours: a message, less what else it says. */
  answerBytes: maxMessageBytes - 1024 * 1024,
  idBytes: 256,
  payloadBytes: 65_536,
  payloadDepth: 16,
  norm: 1e18,
  scroll: 10_000,
  getIds: 10_000,
  deleteIds: 1_000_000,
  searches: 100,
  searchesAtOnce: 16,
  aliasChanges: 1000,
  aliases: 10_000,
  nameBytes: 63,
  efSearch: 4096,
  probes: 65_536,
  votes: 10,
  imageBytes: 16 * 1024 * 1024,
  descriptionBytes: 1000,
} as const;

/** Bounds that the environment sets. */
export interface Limits {
  /** Vectors in all collections together. */
  readonly maxVectors: number;
  /** Bytes of memory of all collections together, as accounted. */
  readonly maxMemoryBytes: number;
  /** Bytes on disk of all collections together. */
  readonly maxDiskBytes: number;
  readonly maxCollections: number;
  /** Bytes of one Upsert stream, which is held in memory until it has ended. */
  readonly maxUpsertBytes: number;
  /** Mining jobs at a time. */
  readonly maxMiningJobs: number;
}

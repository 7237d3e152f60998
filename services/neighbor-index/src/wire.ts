// Collections, points, jobs and statistics for the wire.
import {
  CollectionState,
  Engine,
  MiningState,
  type GetInfoResponse,
  type GetStatsResponse,
  type MiningJob,
  type Point,
  type PointId as WireId,
} from '@kindred/protocol/neighbors';
import { invalidField } from '@kindred/errors';
import { maxMessageBytes } from '@kindred/protocol';
import { bytesOf, uint64Of, type Job } from '@kindred/service-runtime';
import type { Collections } from './collections.js';
import type { CollectionStats, CollectionSummary } from './engine/engine.js';
import type { PointId, PointRecord } from './engine/points.js';
import { checkText, filterLimits } from './filter.js';
import { contractLimits, type Limits } from './limits.js';
import type { MiningProgress } from './mining.js';
import { specToWire } from './spec-wire.js';

const states = {
  loading: CollectionState.LOADING,
  ready: CollectionState.READY,
  damaged: CollectionState.DAMAGED,
} as const;
const miningStates = {
  running: MiningState.RUNNING,
  succeeded: MiningState.SUCCEEDED,
  failed: MiningState.FAILED,
  cancelled: MiningState.CANCELLED,
} as const;
const noBytes = new Uint8Array(0);

/** A collection for the wire; its size is asked for where it answers. */
export async function collectionToWire(summary: CollectionSummary, collections: Collections) {
  const { name, spec, createTime, state, problem } = summary;
  const size = state === 'ready' ? await collections.get(name).size() : 0;
  const aliases = collections.aliases.list().flatMap(({ alias, collection }) => (collection === name ? [alias] : []));
  return {
    collection: name,
    config: state === 'ready' ? specToWire(spec) : undefined,
    size: BigInt(size),
    createTime,
    state: states[state],
    problem,
    aliases,
  };
}

/** A point for the wire. */
export function pointToWire({ id, label, vector, payload }: PointRecord): Point {
  return { id: idToWire(id), label, payload, vector: vector === null ? noBytes : bytesOf(vector) };
}

/** An id for the wire. */
export function idToWire(id: PointId): WireId {
  return { id: typeof id === 'bigint' ? { $case: 'number', value: id } : { $case: 'text', value: id } };
}

/** Ids from columns, numbers first. INVALID_ARGUMENT for more than `most`, or a text out of form. */
export function idsFromWire(
  { ids, texts }: { readonly ids: Uint8Array; readonly texts: readonly string[] },
  most: number,
): PointId[] {
  const numbers = uint64Of(ids, 'ids');
  const count = numbers.length + texts.length;
  if (count > most) throw invalidField('ids', `got ${count}; allowed: ${most}`);
  return [...numbers, ...texts.map((text, i) => checkText(text, `texts[${i}]`))];
}

/** A mining job for the wire. */
export function jobToWire({ id, state, progress, error }: Job<MiningProgress>): MiningJob {
  return {
    jobId: id,
    state: miningStates[state],
    completed: BigInt(progress.completed),
    total: BigInt(progress.total),
    key: progress.key,
    accuracy: progress.accuracy ?? undefined,
    errorCode: error?.code ?? '',
    errorMessage: error?.message ?? '',
  };
}

/** Statistics for the wire. */
export function statsToWire(stats: CollectionStats): GetStatsResponse {
  return {
    size: BigInt(stats.size),
    labelled: BigInt(stats.labelled),
    deletedRows: BigInt(stats.deletedRows),
    indexedRows: BigInt(stats.indexedRows),
    segments: stats.segments.map(({ segment, rows, deleted, indexed, diskBytes }) => ({
      segment: BigInt(segment),
      rows: BigInt(rows),
      deleted: BigInt(deleted),
      indexed,
      diskBytes: BigInt(diskBytes),
    })),
    growingRows: BigInt(stats.growingRows),
    memoryBytes: BigInt(Math.round(stats.memoryBytes)),
    diskBytes: BigInt(stats.diskBytes),
    logBytes: BigInt(stats.logBytes),
    lastSequence: stats.lastSequence,
    recovery: [...stats.recovery],
    optimizing: stats.optimizing,
    nodes: [...stats.nodes],
  };
}

/** What GetInfo tells. */
export function infoToWire(
  version: string,
  collections: Collections,
  limits: Limits,
  usage: {
    readonly collections: number;
    readonly vectors: number;
    readonly memoryBytes: number;
    readonly diskBytes: number;
  },
): GetInfoResponse {
  return {
    version,
    engines: collections.kinds.map((kind) => ({ embedded: Engine.EMBEDDED, weaviate: Engine.WEAVIATE })[kind]),
    limits: {
      dimension: contractLimits.dimension,
      k: contractLimits.k,
      queries: contractLimits.queries,
      neighbors: contractLimits.neighbors,
      idBytes: contractLimits.idBytes,
      payloadBytes: contractLimits.payloadBytes,
      payloadDepth: contractLimits.payloadDepth,
      filterConditions: filterLimits.conditions,
      filterDepth: filterLimits.depth,
      filterValues: filterLimits.values,
      upsertBytes: BigInt(limits.maxUpsertBytes),
      vectors: BigInt(limits.maxVectors),
      memoryBytes: BigInt(limits.maxMemoryBytes),
      diskBytes: BigInt(limits.maxDiskBytes),
      collections: limits.maxCollections,
      norm: contractLimits.norm,
      messageBytes: BigInt(maxMessageBytes),
      imageBytes: BigInt(contractLimits.imageBytes),
      scroll: contractLimits.scroll,
      getIds: contractLimits.getIds,
      deleteIds: contractLimits.deleteIds,
      miningJobs: limits.maxMiningJobs,
      answerBytes: BigInt(contractLimits.answerBytes),
      answerVectorBytes: BigInt(contractLimits.answerVectorBytes),
      searches: contractLimits.searches,
      streamSearches: contractLimits.searchesAtOnce,
      aliasChanges: contractLimits.aliasChanges,
      aliases: contractLimits.aliases,
      nameBytes: contractLimits.nameBytes,
      descriptionBytes: contractLimits.descriptionBytes,
      efSearch: contractLimits.efSearch,
      probes: contractLimits.probes,
      votes: contractLimits.votes,
      miningK: contractLimits.k - 1,
    },
    usage: {
      collections: usage.collections,
      vectors: BigInt(usage.vectors),
      memoryBytes: BigInt(Math.round(usage.memoryBytes)),
      diskBytes: BigInt(usage.diskBytes),
    },
  };
}

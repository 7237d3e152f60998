// A search through all parts of a collection.
import { searchRows } from '@kindred/faiss-native';
import type { Hits, SearchQuery } from '../engine/engine.js';
import type { PointId } from '../engine/points.js';
import type { CollectionSpec } from '../engine/spec.js';
import { compileFilter } from '../filter.js';
import { bothOf } from './alive-rows.js';
import { partsOf, type Contents } from './contents.js';
import { filterBits } from './filter-bits.js';
import { refineOf } from './index-plan.js';
import { idOf, nextTurn, pointBytes, type Part } from './part.js';

/** Neighbours that are looked up before other work of the process gets a turn. */
const hitsPerTurn = 50_000;

/** Rows of a part that a search may find, as they were when it began. */
export interface SearchablePart {
  readonly part: Part;
  readonly rows: number;
  /** Null: all. */
  readonly allowed: Uint8Array | null;
}

/** The rows that are alive now and match. Everything is looked at in one turn; filters are tested afterwards. */
export async function searchable(
  contents: Contents,
  filter: SearchQuery['filter'],
  signal: AbortSignal,
): Promise<SearchablePart[]> {
  const growing = new Set<Part>([contents.growing, ...contents.frozen]);
  const parts = partsOf(contents)
    .filter(({ rows }) => rows > 0)
    .map((part) => ({ part, rows: part.rows, allowed: part.alive.share() }));
  if (filter === null) return parts;
  const compiled = compileFilter(filter);
  const matching: SearchablePart[] = [];
  for (const { part, rows, allowed } of parts) {
    matching.push({
      part,
      rows,
      allowed: bothOf(allowed, await filterBits(part, compiled, !growing.has(part), signal)),
    });
  }
  return matching;
}

/** The nearest points of each query. */
export async function searchParts(
  contents: Contents,
  spec: CollectionSpec,
  query: SearchQuery,
  signal: AbortSignal,
): Promise<Hits> {
  const { dimension, metric, index } = spec;
  const l2 = metric === 'l2';
  const parts = await searchable(contents, query.filter, signal);
  const all = parts.reduce((sum, { rows }) => sum + rows, 0);
  const count = query.queries.length / dimension;
  const k = Math.min(query.k, all);
  if (k === 0) return noHits(count, query);
  const { scores, positions } = await searchRows({
    segments: parts.map(({ part, rows, allowed }) => ({
      vectors: part.vectors,
      rows,
      dimension,
      allowed,
      index: query.exact ? null : part.index,
    })),
    queries: query.queries,
    dimension,
    k,
    l2,
    efSearch: query.efSearch === 0 ? (index.kind === 'hnsw' ? index.efSearch : 1) : query.efSearch,
    probes: query.probes === 0 ? ('probes' in index ? index.probes : 0) : query.probes,
    refine: refineOf(index),
    signal,
  });
  const hits = {
    counts: new Uint32Array(count),
    ids: new Array<PointId | null>(count * k).fill(null),
    labels: new Int32Array(count * k).fill(-1),
    payloads: query.include.payloads ? new Array<string>(count * k).fill('') : null,
    vectors: query.include.vectors ? new Array<Float32Array | null>(count * k).fill(null) : null,
  };
  const near = query.scoreThreshold;
  for (let place = 0; place < positions.length; place++) {
    if (place % hitsPerTurn === hitsPerTurn - 1) await nextTurn();
    const position = positions[place]!;
    const score = scores[place]!;
    if (position < 0 || (near !== null && (l2 ? score > near : score < near))) continue;
    const { part, row } = rowAt(parts, position);
    const id = idOf(part, row);
    query.include.budget?.take(pointBytes(part, row, id, query.include));
    hits.ids[place] = id;
    hits.labels[place] = part.labels[row]!;
    if (hits.payloads !== null) hits.payloads[place] = part.payload(row);
    if (hits.vectors !== null) hits.vectors[place] = part.vectors.slice(row * dimension, (row + 1) * dimension);
    hits.counts[Math.floor(place / k)]!++;
  }
  return { k, scores, ...hits };
}

function rowAt(parts: readonly SearchablePart[], position: number): { part: Part; row: number } {
  let row = position;
  for (const { part, rows } of parts) {
    if (row < rows) return { part, row };
    row -= rows;
  }
  throw new RangeError(`position ${position} is beyond all parts`);
}

function noHits(count: number, { include }: SearchQuery): Hits {
  return {
    k: 0,
    counts: new Uint32Array(count),
    ids: [],
    scores: new Float32Array(0),
    labels: new Int32Array(0),
    payloads: include.payloads ? [] : null,
    vectors: include.vectors ? [] : null,
  };
}

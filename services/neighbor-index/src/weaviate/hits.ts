// Weaviate's answers as the engine's: by query, nearest first, in columns.
import type { StoredObject } from '@kindred/weaviate';
import type { Hits, SearchQuery } from '../engine/engine.js';
import type { PointId } from '../engine/points.js';
import type { CollectionSpec } from '../engine/spec.js';
import { idOf, labelOf, payloadOf } from './point-objects.js';

/** The neighbours of each query, those beyond the threshold left out. */
export function createHits(
  answers: readonly (readonly StoredObject[])[],
  { k, scoreThreshold, include }: Pick<SearchQuery, 'k' | 'scoreThreshold' | 'include'>,
  { metric }: Pick<CollectionSpec, 'metric'>,
): Hits {
  const places = answers.length * k;
  const ids: (PointId | null)[] = new Array<PointId | null>(places).fill(null);
  const scores = new Float32Array(places);
  const labels = new Int32Array(places).fill(-1);
  const payloads = include.payloads ? new Array<string>(places).fill('') : null;
  const vectors = include.vectors ? new Array<Float32Array | null>(places).fill(null) : null;
  const threshold = scoreThreshold === null ? null : Math.fround(scoreThreshold);
  const counts = Uint32Array.from(answers, (objects, query) => {
    let found = 0;
    for (const object of objects) {
      // Weaviate's distance is minus the inner product.
      const score = metric === 'l2' ? object.distance : 0 - object.distance;
      if (threshold !== null && (metric === 'l2' ? score > threshold : score < threshold)) break;
      const at = query * k + found++;
      ids[at] = idOf(object);
      scores[at] = score;
      labels[at] = labelOf(object);
      if (payloads !== null) payloads[at] = payloadOf(object);
      if (vectors !== null) vectors[at] = object.vector;
    }
    return found;
  });
  return { k, counts, ids, scores, labels, payloads, vectors };
}

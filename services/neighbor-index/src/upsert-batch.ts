// The rows of one Upsert stream, checked part by part and held until the stream has ended.
import { KindredError, invalidField } from '@kindred/errors';
import type { Limits } from './config.js';
import { overLimit } from './indexes.js';
import type { Rows } from './segment.js';
import { checkVectors } from './vectors.js';

/** Rows in the making. */
export interface UpsertBatch {
  /** Takes a part's rows; INVALID_ARGUMENT for lengths that do not fit, vectors out of range, an id twice, a label below -1. */
  add(part: Rows): void;
  /** All rows. */
  rows(): Rows;
}

/** Makes an empty batch for vectors of `dimension` numbers. */
export function createUpsertBatch(dimension: number, limits: Limits): UpsertBatch {
  const parts: Rows[] = [];
  const seen = new Set<bigint>();
  let bytes = 0;

  return {
    add(part) {
      const { ids, vectors, labels } = part;
      const count = ids.length;
      if (vectors.length !== count * dimension) {
        throw invalidField(
          'vectors',
          `got ${vectors.length} numbers for ${count} ids; allowed: ${count * dimension}, which is ${dimension} a vector`,
        );
      }
      if (labels.length !== 0 && labels.length !== count) {
        throw invalidField('labels', `got ${labels.length} for ${count} ids; allowed: none or ${count}`);
      }
      checkVectors('vectors', vectors, dimension);
      const wrong = labels.findIndex((label) => label < -1);
      if (wrong !== -1) throw invalidField('labels', `got ${labels[wrong]}; allowed: -1 (unlabelled) or more`);
      for (const id of ids) {
        if (seen.has(id)) throw invalidField('ids', `got ${id} twice in one stream; allowed: each id once`);
        seen.add(id);
      }
      if (seen.size > limits.maxVectors) throw overLimit(seen.size, limits.maxVectors);
      bytes += vectors.byteLength;
      if (bytes > limits.maxUpsertBytes) {
        throw new KindredError(
          'RESOURCE_EXHAUSTED',
          `got ${bytes} bytes of vectors in one stream; allowed: ${limits.maxUpsertBytes} ` +
            '(KINDRED_NEIGHBOR_INDEX_MAX_UPSERT_MIB); send several streams',
        );
      }
      parts.push(labels.length === count ? part : { ...part, labels: new Int32Array(count).fill(-1) });
    },
    rows() {
      const rows: Rows = {
        ids: new BigUint64Array(seen.size),
        vectors: new Float32Array(seen.size * dimension),
        labels: new Int32Array(seen.size),
      };
      let row = 0;
      for (const part of parts.splice(0)) {
        rows.ids.set(part.ids, row);
        rows.vectors.set(part.vectors, row * dimension);
        rows.labels.set(part.labels, row);
        row += part.ids.length;
      }
      return rows;
    },
  };
}

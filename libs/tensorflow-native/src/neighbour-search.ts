// Exact nearest neighbours by inner product as a compiled graph: the memory bank's search, on TensorFlow's threads.
import * as tf from '@tensorflow/tfjs-core';
import { invalidField } from '@kindred/errors';
import type { Neighbours } from '@kindred/memory-bank';
import { compile } from './compile.js';
import { float } from './execution.js';
import { attribute } from './native.js';
import { loadTensorFlow } from './runtime.js';
import type { CompiledProgram } from './compile.js';
import type { ProgramDefinition } from './program-definition.js';
import type { TensorFlowOptions, TensorFlowRuntime } from './runtime.js';

/** What is searched, and for what; rows are float32 vectors of `dimension` numbers. */
export interface NeighbourQuery {
  /** `[n, dimension]`. */
  readonly bank: Float32Array;
  /** `[queries, dimension]`. */
  readonly queries: Float32Array;
  readonly dimension: number;
  /** Neighbours a query; all rows of the bank where it holds fewer. */
  readonly k: number;
}

/** A search whose graphs are kept for the next bank of the same size. Calls are synchronous. */
export interface NeighbourSearch {
  /** Neighbours best first; of equal scores the row that comes first. */
  find(query: NeighbourQuery): Neighbours;
  /** Gives native memory back. */
  dispose(): void;
}

// Similarities of one call: 16 Mi of them are 64 MiB.
const maxSimilarities = 2 ** 24;
const maxBlock = 1024;
// A run asks for two sizes: embeddings, and the backbone's features. Each holds a copy of its bank.
const maxPrograms = 2;

/** Makes a search; nothing is compiled before its first use. */
export function createNeighbourSearch(tensorFlow?: TensorFlowOptions): NeighbourSearch {
  const runtime = loadTensorFlow(tensorFlow);
  const kept = new Map<string, CompiledProgram>();

  const programFor = (size: number, dimension: number, k: number): CompiledProgram => {
    const shape = `${size}x${dimension}, ${k}`;
    const known = kept.get(shape);
    if (known !== undefined) return known;
    const [oldest] = kept;
    if (oldest !== undefined && kept.size >= maxPrograms) {
      oldest[1].dispose();
      kept.delete(oldest[0]);
    }
    const program = compile(runtime, nearestProgram(runtime, size, dimension, k));
    kept.set(shape, program);
    return program;
  };

  return {
    find({ bank, queries, dimension, k }) {
      const size = rowsOf('bank', bank, dimension);
      const count = rowsOf('queries', queries, dimension);
      if (!Number.isInteger(k) || k < 1) throw invalidField('k', `got ${k}; allowed: a whole number above 0`);
      if (size === 0) throw invalidField('bank', 'got no rows; allowed: 1 or more');
      const columns = Math.min(k, size);
      const program = programFor(size, dimension, columns);
      program.setState({ bank });
      const scores = new Float32Array(count * columns);
      const positions = new Int32Array(count * columns);
      const block = Math.max(1, Math.min(maxBlock, Math.floor(maxSimilarities / size)));
      for (let start = 0; start < count; start += block) {
        const rows = Math.min(block, count - start);
        const values = queries.subarray(start * dimension, (start + rows) * dimension);
        const found = program.functions['nearest']?.({ queries: values }, { queries: [rows, dimension] });
        scores.set(found?.['scores']?.values as Float32Array, start * columns);
        positions.set(found?.['positions']?.values as Int32Array, start * columns);
      }
      return { queries: count, k: columns, scores, positions };
    },
    dispose() {
      for (const program of kept.values()) program.dispose();
      kept.clear();
    },
  };
}

/**
 * The search as a program: function `nearest` over state `bank: [size, dimension]` takes `queries: [n, dimension]` and gives
 * `scores` and `positions`, both `[n, k]`.
 */
export function nearestProgram(
  { backend }: Pick<TensorFlowRuntime, 'backend'>,
  size: number,
  dimension: number,
  k: number,
): ProgramDefinition {
  return {
    state: { bank: [size, dimension] },
    functions: {
      nearest: {
        inputs: { queries: { dtype: 'float32', shape: [-1, dimension] } },
        call: ({ bank }, { queries }) => {
          const similarities = tf.matMul(queries as tf.Tensor2D, bank as tf.Tensor2D, false, true);
          const [scores, positions] = backend.executeMultipleOutputs(
            'TopKV2',
            [attribute.bool('sorted', true), float, attribute.type('Tk', 'int32')],
            [similarities, tf.scalar(k, 'int32')],
            2,
          ) as [tf.Tensor, tf.Tensor];
          return { outputs: { scores, positions } };
        },
      },
    },
  };
}

function rowsOf(field: string, values: Float32Array, dimension: number): number {
  const rows = values.length / dimension;
  if (Number.isInteger(rows)) return rows;
  throw invalidField(field, `got ${values.length} numbers; allowed: a multiple of the dimension ${dimension}`);
}

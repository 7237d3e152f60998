// Compiles functions over shared state into one TensorFlow graph: each runs as one native call, with no JavaScript between operations.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KindredError } from '@kindred/errors';
import { encodeSavedModel, graphTag } from './graph.js';
import { dataTypes } from './native.js';
import { programGraph } from './program-graph.js';
import { nextInput, stagedOutput } from './staging.js';
import { checkInput } from './tensor-values.js';
import type { NativeBackend, TensorMetadata } from './native.js';
import type { InputDefinition, ProgramDefinition } from './program-definition.js';
import type { TensorFlowRuntime } from './runtime.js';

/** One output of a run. */
export interface OutputValue {
  readonly shape: readonly number[];
  readonly values: Float32Array | Int32Array | Uint8Array;
}

/**
 * Runs a compiled function; `shapes` gives the shape of inputs that have sizes of -1. Of a function with an input `ahead`, `next`
 * is that input's value for the call after, which then leaves it out; FAILED_PRECONDITION where it has it twice, or not at all.
 */
export type CompiledFunction = (
  inputs: Readonly<Record<string, Float32Array | Int32Array | Uint8Array>>,
  shapes?: Readonly<Record<string, readonly number[]>>,
  next?: Float32Array | Int32Array | Uint8Array,
) => Readonly<Record<string, OutputValue>>;

/** A loaded program. Holds native memory until `dispose()`. */
export interface CompiledProgram {
  readonly functions: Readonly<Record<string, CompiledFunction>>;
  /** Copies of all state variables. */
  getState(): Record<string, Float32Array>;
  /** Replaces all state variables; the arrays are copied. The first run needs it to have been called. */
  setState(state: Readonly<Record<string, Float32Array>>): void;
  /** Number of operations written to the graph, for those who measure. */
  readonly operationCount: number;
  dispose(): void;
}
/**
 * Compiles a program. The graph passes through a folder below the system's temporary one, removed before this returns.
 * Results are those of the calls made one by one, bit for bit, where TensorFlow's graph optimizer merges no operations: it makes one
 * multiplication of a division by a constant and of two constant factors, and one kernel of a convolution with its BatchNorm in
 * eval mode, and of BatchNorm with its ReLU (docs/decisions/0004).
 *
 * @throws KindredError FAILED_PRECONDITION naming the operation that can't be recorded.
 */
export function compile(runtime: TensorFlowRuntime, definition: ProgramDefinition): CompiledProgram {
  const { nodes, outputs } = programGraph(runtime, definition);
  const session = loadGraph(runtime.backend, encodeSavedModel(nodes));
  return createProgram(runtime.backend, definition, session, outputs, nodes.length);
}

function loadGraph(backend: NativeBackend, bytes: Uint8Array): number {
  const folder = mkdtempSync(join(tmpdir(), `kindred-graph-${process.pid}-`));
  try {
    writeFileSync(join(folder, 'saved_model.pb'), bytes);
    return backend.binding.loadSavedModel(folder, graphTag);
  } catch (cause) {
    if (cause instanceof Error && 'syscall' in cause) throw cause;
    throw new KindredError(
      'INTERNAL',
      `TensorFlow refused the compiled graph: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function createProgram(
  backend: NativeBackend,
  definition: ProgramDefinition,
  session: number,
  outputNames: Readonly<Record<string, readonly string[]>>,
  operationCount: number,
): CompiledProgram {
  const { binding } = backend;
  const stateNames = Object.keys(definition.state);
  let open = true;
  const run = (feeds: { name: string; id: number }[], fetches: readonly string[]): OutputValue[] => {
    if (!open) throw new KindredError('FAILED_PRECONDITION', 'the compiled program was disposed');
    try {
      const names = feeds.map(({ name }) => `${name}:0`).join(',');
      const results = binding.runSavedModel(
        session,
        feeds.map(({ id }) => id),
        names,
        fetches.map((name) => `${name}:0`).join(','),
      );
      return results.map((metadata) => takeValues(backend, metadata));
    } finally {
      for (const { id } of feeds) binding.deleteTensor(id);
    }
  };
  const functions = Object.entries(definition.functions).map(([name, fn]): [string, CompiledFunction] => {
    const outputs = outputNames[name] ?? [];
    const fetches = outputs.map((output) => `${name}/output/${output}`);
    const feed = (key: string, node: string, shape: readonly number[], given: Parameters<CompiledFunction>[2]) => {
      const input = fn.inputs[key] as InputDefinition;
      const values = checkInput(`${name}.${key}`, input, shape, given);
      return { name: node, id: binding.createTensor(shape, dataTypes[input.dtype], values) };
    };
    const feedNext = (key: string, values: Parameters<CompiledFunction>[2]) =>
      feed(key, nextInput(name, key), fn.inputs[key]?.shape ?? [], values);
    let isStaged = false;
    return [
      name,
      (inputs, shapes = {}, next) => {
        const { ahead } = fn;
        if (ahead !== undefined && (inputs[ahead] === undefined) !== isStaged) {
          const fault = isStaged ? 'was handed in with the call before' : 'was not handed in with the call before';
          throw new KindredError(
            'FAILED_PRECONDITION',
            `${name}.${ahead} ${fault}, so it ${isStaged ? 'must not' : 'must'} be given`,
          );
        }
        const keys = Object.keys(fn.inputs).filter((key) => key !== ahead);
        const feeds = keys.map((key) =>
          feed(key, `${name}/input/${key}`, shapes[key] ?? fn.inputs[key]?.shape ?? [], inputs[key]),
        );
        if (ahead !== undefined && !isStaged) run([feedNext(ahead, inputs[ahead])], [stagedOutput(name)]);
        const stages = ahead !== undefined && next !== undefined;
        const values = stages
          ? run([...feeds, feedNext(ahead, next)], [...fetches, stagedOutput(name)])
          : run(feeds, fetches);
        isStaged = stages;
        return Object.fromEntries(outputs.map((output, index) => [output, values[index] as OutputValue]));
      },
    ];
  });
  return {
    functions: Object.fromEntries(functions),
    operationCount,
    getState() {
      const values = run(
        [],
        stateNames.map((name) => `get/${name}`),
      );
      return Object.fromEntries(stateNames.map((name, index) => [name, values[index]?.values as Float32Array]));
    },
    setState(state) {
      const feeds = stateNames.map((name) => {
        const shape = definition.state[name] ?? [];
        const values = checkInput(`state.${name}`, { dtype: 'float32', shape }, shape, state[name]);
        return { name: `value/${name}`, id: binding.createTensor(shape, dataTypes.float32, values) };
      });
      run(
        feeds,
        stateNames.map((name) => `set/${name}`),
      );
    },
    dispose() {
      if (!open) return;
      open = false;
      binding.deleteSavedModel(session);
    },
  };
}

function takeValues({ binding }: NativeBackend, { id, shape }: TensorMetadata): OutputValue {
  const values = binding.tensorDataSync(id);
  binding.deleteTensor(id);
  return { shape, values };
}

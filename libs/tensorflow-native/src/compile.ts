// Compiles functions over shared state into one TensorFlow graph: each runs as one native call, with no JavaScript between operations.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KindredError } from '@kindred/errors';
import { encodeSavedModel, graphTag, pruneGraph } from './graph.js';
import { applyPrecision } from './mixed-precision.js';
import { attribute, attributeTypes, dataTypes } from './native.js';
import { checkInput } from './tensor-values.js';
import { traceFunction } from './trace.js';
import type { GraphNode } from './graph.js';
import type { NativeBackend, TensorMetadata } from './native.js';
import type { ProgramDefinition } from './program-definition.js';
import type { TensorFlowRuntime } from './runtime.js';

/** One output of a run. */
export interface OutputValue {
  readonly shape: readonly number[];
  readonly values: Float32Array | Int32Array | Uint8Array;
}

/** Runs a compiled function; `shapes` gives the shape of inputs that have sizes of -1. */
export type CompiledFunction = (
  inputs: Readonly<Record<string, Float32Array | Int32Array | Uint8Array>>,
  shapes?: Readonly<Record<string, readonly number[]>>,
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
 * Results are those of the calls made one by one, bit for bit, where the function divides by no constant and multiplies by no two in
 * a row: TensorFlow's graph optimizer makes one multiplication of such.
 *
 * @throws KindredError FAILED_PRECONDITION naming the operation that can't be recorded.
 */
export function compile(runtime: TensorFlowRuntime, definition: ProgramDefinition): CompiledProgram {
  const nodes: GraphNode[] = [doneNode];
  const targets: string[] = [];
  for (const [name, shape] of Object.entries(definition.state)) {
    nodes.push(...variableNodes(name, shape));
    targets.push(`set/${name}`, `get/${name}`);
  }
  const outputNames: Record<string, string[]> = {};
  for (const [name, fn] of Object.entries(definition.functions)) {
    const trace = traceFunction(runtime.backend, name, definition, fn);
    nodes.push(...applyPrecision(trace.nodes, fn.precision ?? 'float32'));
    outputNames[name] = trace.outputs;
    targets.push(...trace.outputs.map((output) => `${name}/output/${output}`));
  }
  const pruned = pruneGraph(nodes, targets);
  const session = loadGraph(runtime.backend, encodeSavedModel(pruned));
  return createProgram(runtime.backend, definition, session, outputNames, pruned.length);
}
// What a write of state gives back, since only tensors can be fetched.
const doneNode: GraphNode = {
  name: 'set/done',
  op: 'Const',
  attributes: [],
  inputs: [],
  constant: { dtype: dataTypes.float32, shape: [], bytes: new Uint8Array(4) },
};

/** A variable with the nodes that write it (`set/…`, fed by `value/…`) and read it (`get/…`). */
function variableNodes(name: string, shape: readonly number[]): GraphNode[] {
  const dtype = attribute.type('dtype', 'float32');
  const shapeAttribute = { name: 'shape', type: attributeTypes.shape, value: shape };
  const node = (nodeName: string, op: string, attributes: GraphNode['attributes'], inputs: string[]): GraphNode => ({
    name: nodeName,
    op,
    attributes,
    inputs,
    constant: null,
  });
  return [
    node(`variable/${name}`, 'VarHandleOp', [attribute.string('shared_name', name), dtype, shapeAttribute], []),
    node(`value/${name}`, 'Placeholder', [dtype, shapeAttribute], []),
    // A fed tensor may share memory with a JavaScript array; the variable must own its own.
    node(`copy/${name}`, 'DeepCopy', [attribute.type('T', 'float32')], [`value/${name}`]),
    node(`assign/${name}`, 'AssignVariableOp', [dtype], [`variable/${name}`, `copy/${name}`]),
    node(`set/${name}`, 'Identity', [attribute.type('T', 'float32')], ['set/done', `^assign/${name}`]),
    node(`get/${name}`, 'ReadVariableOp', [dtype], [`variable/${name}`]),
  ];
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
  outputNames: Readonly<Record<string, string[]>>,
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
  const functions = Object.entries(definition.functions).map(([name, fn]): [string, CompiledFunction] => [
    name,
    (inputs, shapes = {}) => {
      const feeds = Object.entries(fn.inputs).map(([key, input]) => {
        const shape = shapes[key] ?? input.shape;
        const values = checkInput(`${name}.${key}`, input, shape, inputs[key]);
        return { name: `${name}/input/${key}`, id: binding.createTensor(shape, dataTypes[input.dtype], values) };
      });
      const outputs = outputNames[name] ?? [];
      const values = run(
        feeds,
        outputs.map((output) => `${name}/output/${output}`),
      );
      return Object.fromEntries(outputs.map((output, index) => [output, values[index] as OutputValue]));
    },
  ]);
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

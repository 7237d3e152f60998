// Compiles functions over shared state into one TensorFlow graph: each runs as one native call, with no JavaScript between operations.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { KindredError, invalidField } from '@kindred/errors';
import { encodeSavedModel, graphTag, pruneGraph } from './graph.js';
import { attribute, attributeTypes, dataTypes } from './native.js';
import { createRecorder } from './recorder.js';
import type { GraphNode } from './graph.js';
import type { DataType, NativeBackend, TensorMetadata } from './native.js';
import type { TensorFlowRuntime } from './runtime.js';

/** Shape and type of an input. A size of -1 may differ from run to run. */
export interface InputDefinition {
  readonly dtype: DataType;
  readonly shape: readonly number[];
}

/** The momentum update of one variable, done in place: buffer ← momentum·buffer + gradient; variable ← variable − rate·buffer. */
export interface MomentumUpdate {
  readonly variable: string;
  readonly buffer: string;
  readonly gradient: tf.Tensor;
  readonly rate: tf.Scalar;
  readonly momentum: number;
  readonly nesterov: boolean;
}

/** What a function to be compiled gives back. */
export interface FunctionResult {
  readonly outputs: Readonly<Record<string, tf.Tensor>>;
  /** New values of state variables. */
  readonly updates?: Readonly<Record<string, tf.Tensor>>;
  readonly momentumUpdates?: readonly MomentumUpdate[];
}

/** A function to be compiled. `call` runs once per program, eagerly, on zeros, to be recorded. */
export interface FunctionDefinition {
  readonly inputs: Readonly<Record<string, InputDefinition>>;
  readonly call: (state: Readonly<Record<string, tf.Tensor>>, inputs: Readonly<Record<string, tf.Tensor>>) => FunctionResult;
}

/** Functions that share float32 state. */
export interface ProgramDefinition {
  /** Shape of each state variable. */
  readonly state: Readonly<Record<string, readonly number[]>>;
  readonly functions: Readonly<Record<string, FunctionDefinition>>;
}

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
  /** Replaces all state variables; the arrays are copied. Must come before the first run. */
  setState(state: Readonly<Record<string, Float32Array>>): void;
  /** Number of operations written to the graph, for those who measure. */
  readonly operationCount: number;
  dispose(): void;
}

/**
 * Compiles a program. The graph passes through a folder below the system's temporary one, removed before this returns.
 * Operations compute the same in the graph as when called one by one, so results equal the eager ones bit for bit where
 * TensorFlow's graph optimizer fuses nothing; the specs hold it to that.
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
    nodes.push(...trace.nodes);
    outputNames[name] = trace.outputs;
    targets.push(...trace.outputs.map((output) => `${name}/output/${output}`));
  }
  const pruned = pruneGraph(nodes, targets);
  const session = loadGraph(runtime.backend, encodeSavedModel(pruned));
  return createProgram(runtime.backend, definition, session, outputNames, pruned.length);
}

/** Runs a function as it would be traced, operation by operation: the judge of the compiled form in specs. */
export function runEagerly(
  runtime: TensorFlowRuntime,
  definition: ProgramDefinition,
  name: string,
  state: Readonly<Record<string, Float32Array>>,
  inputs: Readonly<Record<string, Float32Array | Int32Array | Uint8Array>>,
): FunctionResult {
  const fn = requireFunction(definition, name);
  const { backend } = runtime;
  const tensors = Object.entries(definition.state).map(([key, shape]) => {
    const values = state[key]?.slice() ?? new Float32Array(0);
    return [key, tensorOf(backend, backend.binding.createTensor(shape, dataTypes.float32, values), shape, 'float32')];
  });
  const fed = Object.entries(fn.inputs).map(([key, { dtype, shape }]) => {
    const values = inputs[key]?.slice() ?? new Float32Array(0);
    return [key, tensorOf(backend, backend.binding.createTensor(shape, dataTypes[dtype], values), shape, dtype)];
  });
  return fn.call(Object.fromEntries(tensors) as Record<string, tf.Tensor>, Object.fromEntries(fed) as Record<string, tf.Tensor>);
}

function requireFunction(definition: ProgramDefinition, name: string): FunctionDefinition {
  const fn = definition.functions[name];
  if (fn === undefined) throw new KindredError('NOT_FOUND', `the program has no function '${name}'`);
  return fn;
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

interface Trace {
  readonly nodes: GraphNode[];
  readonly outputs: string[];
}

// Two sizes to trace a free dimension with: what differs between the two graphs depends on the size and can't be compiled.
const traceSizes = [3, 5] as const;

function traceFunction(backend: NativeBackend, name: string, definition: ProgramDefinition, fn: FunctionDefinition): Trace {
  const free = Object.values(fn.inputs).some(({ shape }) => shape.includes(-1));
  const trace = traceOnce(backend, name, definition, fn, traceSizes[0]);
  if (!free) return trace;
  const other = traceOnce(backend, name, definition, fn, traceSizes[1]);
  const signature = ({ op, attributes, constant }: GraphNode): string =>
    JSON.stringify([op, attributes, constant === null ? null : [constant.shape, [...constant.bytes]]]);
  const length = Math.max(trace.nodes.length, other.nodes.length);
  for (let index = 0; index < length; index++) {
    const [first, second] = [trace.nodes[index], other.nodes[index]];
    if (first === undefined || second === undefined || signature(first) !== signature(second)) {
      throw new KindredError(
        'FAILED_PRECONDITION',
        `function '${name}': operation ${(first ?? second)?.op} (node ${(first ?? second)?.name}) depends on the size of a free dimension`,
      );
    }
  }
  return trace;
}

function traceOnce(
  backend: NativeBackend,
  name: string,
  definition: ProgramDefinition,
  fn: FunctionDefinition,
  freeSize: number,
): Trace {
  const recorder = createRecorder(backend, name);
  const made: tf.Tensor[] = [];
  const given = (id: number, shape: readonly number[], dtype: DataType): tf.Tensor => {
    const tensor = tensorOf(backend, id, shape, dtype);
    made.push(tensor);
    return tensor;
  };
  const state: Record<string, tf.Tensor> = {};
  for (const [key, shape] of Object.entries(definition.state)) {
    const id = backend.binding.createTensor(shape, dataTypes.float32, new Float32Array(sizeOf(shape)));
    const read = `${name}/read/${key}`;
    recorder.nodes.push(plainNode(read, 'ReadVariableOp', [attribute.type('dtype', 'float32')], [`variable/${key}`]));
    recorder.declare(id, read, 'float32');
    state[key] = given(id, shape, 'float32');
  }
  const inputs: Record<string, tf.Tensor> = {};
  for (const [key, { dtype, shape }] of Object.entries(fn.inputs)) {
    const concrete = shape.map((size) => (size === -1 ? freeSize : size));
    const id = backend.binding.createTensor(concrete, dataTypes[dtype], emptyArray(dtype, sizeOf(concrete)));
    const placeholder = `${name}/input/${key}`;
    const shapeAttribute = { name: 'shape', type: attributeTypes.shape, value: shape };
    recorder.nodes.push(plainNode(placeholder, 'Placeholder', [attribute.type('dtype', dtype), shapeAttribute], []));
    recorder.declare(id, placeholder, dtype);
    inputs[key] = given(id, concrete, dtype);
  }
  tf.engine().startScope(`trace ${name}`);
  try {
    return recorder.record(() => {
      const result = fn.call(state, inputs);
      made.push(...Object.values(result.outputs), ...Object.values(result.updates ?? {}));
      made.push(...(result.momentumUpdates ?? []).flatMap(({ gradient }) => [gradient]));
      return finishTrace(backend, name, definition, recorder.nodes, recorder.referenceTo, result);
    });
  } finally {
    // The scope takes what the call left behind, this loop what it kept on purpose.
    tf.engine().endScope();
    for (const tensor of new Set(made)) if (!tensor.isDisposed) tensor.dispose();
  }
}

/** Adds the nodes that write state, and outputs that come after them. */
function finishTrace(
  backend: NativeBackend,
  name: string,
  definition: ProgramDefinition,
  nodes: GraphNode[],
  referenceTo: (id: number, user: string) => string,
  { outputs, updates = {}, momentumUpdates = [] }: FunctionResult,
): Trace {
  const refer = (tensor: tf.Tensor, user: string): string => referenceTo(backend.getInputTensorIds([tensor])[0] ?? -1, user);
  const writes: string[] = [];
  for (const [key, tensor] of Object.entries(updates)) {
    if (definition.state[key] === undefined) throw new KindredError('INTERNAL', `function '${name}' updates '${key}', which is not state`);
    const assign = `${name}/assign/${key}`;
    const value = refer(tensor, `update of ${key}`);
    // The old value is read first wherever it is read at all: a read after the write would see the new one.
    nodes.push(plainNode(assign, 'AssignVariableOp', [attribute.type('dtype', 'float32')], [`variable/${key}`, value, `^${name}/read/${key}`]));
    writes.push(assign);
  }
  for (const { variable, buffer, gradient, rate, momentum, nesterov } of momentumUpdates) {
    const apply = `${name}/momentum/${variable}`;
    const factor = `${name}/momentum_factor/${variable}`;
    const bytes = new Uint8Array(Float32Array.of(momentum).buffer);
    nodes.push({ ...plainNode(factor, 'Const', [], []), constant: { dtype: dataTypes.float32, shape: [], bytes } });
    nodes.push(
      plainNode(
        apply,
        'ResourceApplyMomentum',
        [attribute.type('T', 'float32'), attribute.bool('use_nesterov', nesterov), attribute.bool('use_locking', false)],
        [
          `variable/${variable}`,
          `variable/${buffer}`,
          refer(rate, 'learning rate'),
          refer(gradient, `gradient of ${variable}`),
          factor,
          `^${name}/read/${variable}`,
        ],
      ),
    );
    writes.push(apply);
  }
  for (const [key, tensor] of Object.entries(outputs)) {
    const type = attribute.type('T', tensor.dtype === 'int32' ? 'int32' : 'float32');
    nodes.push(plainNode(`${name}/output/${key}`, 'Identity', [type], [refer(tensor, `output ${key}`), ...writes.map((node) => `^${node}`)]));
  }
  return { nodes, outputs: Object.keys(outputs) };
}

function plainNode(name: string, op: string, attributes: GraphNode['attributes'], inputs: string[]): GraphNode {
  return { name, op, attributes, inputs, constant: null };
}

function loadGraph(backend: NativeBackend, bytes: Uint8Array): number {
  const folder = mkdtempSync(join(tmpdir(), `kindred-graph-${process.pid}-`));
  try {
    writeFileSync(join(folder, 'saved_model.pb'), bytes);
    return backend.binding.loadSavedModel(folder, graphTag);
  } catch (cause) {
    if (cause instanceof Error && 'syscall' in cause) throw cause;
    throw new KindredError('INTERNAL', `TensorFlow refused the compiled graph: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
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
      const results = binding.runSavedModel(session, feeds.map(({ id }) => id), names, fetches.map((name) => `${name}:0`).join(','));
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
      const values = run(feeds, outputs.map((output) => `${name}/output/${output}`));
      return Object.fromEntries(outputs.map((output, index) => [output, values[index] as OutputValue]));
    },
  ]);
  return {
    functions: Object.fromEntries(functions),
    operationCount,
    getState() {
      const values = run([], stateNames.map((name) => `get/${name}`));
      return Object.fromEntries(stateNames.map((name, index) => [name, values[index]?.values as Float32Array]));
    },
    setState(state) {
      const feeds = stateNames.map((name) => {
        const shape = definition.state[name] ?? [];
        const values = checkInput(`state.${name}`, { dtype: 'float32', shape }, shape, state[name]);
        return { name: `value/${name}`, id: binding.createTensor(shape, dataTypes.float32, values) };
      });
      run(feeds, stateNames.map((name) => `set/${name}`));
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

function tensorOf(backend: NativeBackend, id: number, shape: readonly number[], dtype: DataType): tf.Tensor {
  return backend.createOutputTensor({ id, shape, dtype: dataTypes[dtype] });
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function emptyArray(dtype: DataType, length: number): Float32Array | Int32Array | Uint8Array {
  if (dtype === 'float32') return new Float32Array(length);
  return dtype === 'int32' ? new Int32Array(length) : new Uint8Array(length);
}

/** Checks an input's shape, type and length. */
function checkInput(
  field: string,
  { dtype, shape: allowed }: InputDefinition,
  shape: readonly number[],
  values: Float32Array | Int32Array | Uint8Array | undefined,
): Float32Array | Int32Array | Uint8Array {
  const fits = shape.length === allowed.length && allowed.every((size, axis) => (size === -1 ? (shape[axis] ?? -1) >= 0 : size === shape[axis]));
  if (!fits) throw invalidField(field, `got shape [${shape.join(', ')}]; allowed: [${allowed.join(', ')}] (-1: any size)`);
  if (values === undefined) throw invalidField(field, 'missing');
  if (values.constructor !== emptyArray(dtype, 0).constructor) {
    throw invalidField(field, `got ${values.constructor.name}; allowed: ${emptyArray(dtype, 0).constructor.name}`);
  }
  if (values.length !== sizeOf(shape)) throw invalidField(field, `got ${values.length} values; allowed: ${sizeOf(shape)} for shape [${shape.join(', ')}]`);
  return values;
}

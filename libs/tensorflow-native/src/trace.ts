// One eager call of a function, recorded as graph nodes from placeholders and variables to writes and outputs.
import * as tf from '@tensorflow/tfjs-core';
import { KindredError } from '@kindred/errors';
import { attribute, attributeTypes, dataTypes } from './native.js';
import { createRecorder } from './recorder.js';
import { stagingNodes } from './staging.js';
import type { GraphNode } from './graph.js';
import type { DataType, NativeBackend } from './native.js';
import type { FunctionDefinition, FunctionResult, ProgramDefinition } from './program-definition.js';
import type { TensorFlowRuntime } from './runtime.js';

/** A recorded function. */
export interface Trace {
  readonly nodes: GraphNode[];
  readonly outputs: string[];
}

// Each function is recorded twice, free dimensions having these sizes: what differs between the two graphs depends on the size,
// or was drawn by chance in JavaScript, and can't be compiled.
const traceSizes = [3, 5] as const;

/** Name of the `Const` that holds a program's frozen values. */
export function frozenNode(key: string): string {
  return `frozen/${key}`;
}

/** Records function `name` of `definition`; nodes are named `name/…`, outputs `name/output/…`. */
export function traceFunction(
  backend: NativeBackend,
  name: string,
  definition: ProgramDefinition,
  fn: FunctionDefinition,
): Trace {
  const trace = traceOnce(backend, name, definition, fn, traceSizes[0]);
  const other = traceOnce(backend, name, definition, fn, traceSizes[1]);
  const signature = ({ op, attributes, inputs, constant }: GraphNode): string =>
    JSON.stringify([op, attributes, inputs, constant === null ? null : [constant.shape, [...constant.bytes]]]);
  const length = Math.max(trace.nodes.length, other.nodes.length);
  for (let index = 0; index < length; index++) {
    const [first, second] = [trace.nodes[index], other.nodes[index]];
    if (first === undefined || second === undefined || signature(first) !== signature(second)) {
      throw new KindredError(
        'FAILED_PRECONDITION',
        `function '${name}': operation ${(first ?? second)?.op} (node ${(first ?? second)?.name}) differs from one recording to the next: it depends on the size of a free dimension, or on chance`,
      );
    }
  }
  return trace;
}

/**
 * Runs a function as it would be traced, operation by operation: the judge of the compiled form in specs. `shapes` gives the
 * shape of inputs that have sizes of -1.
 */
export function runEagerly(
  runtime: TensorFlowRuntime,
  definition: ProgramDefinition,
  name: string,
  state: Readonly<Record<string, Float32Array>>,
  inputs: Readonly<Record<string, Float32Array | Int32Array | Uint8Array>>,
  shapes: Readonly<Record<string, readonly number[]>> = {},
): FunctionResult {
  const fn = requireFunction(definition, name);
  const { backend } = runtime;
  const tensors = Object.entries(definition.state).map(([key, shape]) => {
    const values = state[key]?.slice() ?? new Float32Array(0);
    return [key, tensorOf(backend, backend.binding.createTensor(shape, dataTypes.float32, values), shape, 'float32')];
  });
  const fed = Object.entries(fn.inputs).map(([key, { dtype, shape: declared }]) => {
    const shape = shapes[key] ?? declared;
    const values = inputs[key]?.slice() ?? new Float32Array(0);
    return [key, tensorOf(backend, backend.binding.createTensor(shape, dataTypes[dtype], values), shape, dtype)];
  });
  return fn.call(
    Object.fromEntries(tensors) as Record<string, tf.Tensor>,
    Object.fromEntries(fed) as Record<string, tf.Tensor>,
  );
}

function requireFunction(definition: ProgramDefinition, name: string): FunctionDefinition {
  const fn = definition.functions[name];
  if (fn === undefined) throw new KindredError('NOT_FOUND', `the program has no function '${name}'`);
  return fn;
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
  const declare = (reference: string, shape: readonly number[], dtype: DataType): tf.Tensor => {
    const tensor = backend.createOutputTensor(recorder.declare(reference, shape, dtype));
    made.push(tensor);
    return tensor;
  };
  const state: Record<string, tf.Tensor> = {};
  for (const [key, shape] of Object.entries(definition.state)) {
    const read = `${name}/read/${key}`;
    recorder.nodes.push(plainNode(read, 'ReadVariableOp', [attribute.type('dtype', 'float32')], [`variable/${key}`]));
    state[key] = declare(read, shape, 'float32');
  }
  for (const [key, { shape }] of Object.entries(definition.frozen ?? {})) {
    state[key] = declare(frozenNode(key), shape, 'float32');
  }
  const inputs: Record<string, tf.Tensor> = {};
  for (const [key, { dtype, shape }] of Object.entries(fn.inputs)) {
    const concrete = shape.map((size) => (size === -1 ? freeSize : size));
    const input = `${name}/input/${key}`;
    const shapeAttribute = { name: 'shape', type: attributeTypes.shape, value: shape };
    if (key === fn.ahead) recorder.nodes.push(...stagingNodes(name, key, { dtype, shape }, input));
    else recorder.nodes.push(plainNode(input, 'Placeholder', [attribute.type('dtype', dtype), shapeAttribute], []));
    inputs[key] = declare(input, concrete, dtype);
  }
  tf.engine().startScope(`trace ${name}`);
  try {
    return recorder.record(() => {
      const result = fn.call(state, inputs);
      if (result instanceof Promise) {
        throw new KindredError(
          'FAILED_PRECONDITION',
          `function '${name}' is asynchronous; a compiled one gives its tensors back at once`,
        );
      }
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
  const refer = (tensor: tf.Tensor, user: string): string =>
    referenceTo(backend.getInputTensorIds([tensor])[0] ?? -1, user);
  const writes: string[] = [];
  for (const [key, tensor] of Object.entries(updates)) {
    if (definition.state[key] === undefined)
      throw new KindredError('INTERNAL', `function '${name}' updates '${key}', which is not state`);
    const assign = `${name}/assign/${key}`;
    const value = refer(tensor, `update of ${key}`);
    // The old value is read first wherever it is read at all: a read after the write would see the new one.
    nodes.push(
      plainNode(
        assign,
        'AssignVariableOp',
        [attribute.type('dtype', 'float32')],
        [`variable/${key}`, value, `^${name}/read/${key}`],
      ),
    );
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
        [
          attribute.type('T', 'float32'),
          attribute.bool('use_nesterov', nesterov),
          attribute.bool('use_locking', false),
        ],
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
    nodes.push(
      plainNode(
        `${name}/output/${key}`,
        'Identity',
        [type],
        [refer(tensor, `output ${key}`), ...writes.map((node) => `^${node}`)],
      ),
    );
  }
  return { nodes, outputs: Object.keys(outputs) };
}

function plainNode(name: string, op: string, attributes: GraphNode['attributes'], inputs: string[]): GraphNode {
  return { name, op, attributes, inputs, constant: null };
}
function tensorOf(backend: NativeBackend, id: number, shape: readonly number[], dtype: DataType): tf.Tensor {
  return backend.createOutputTensor({ id, shape, dtype: dataTypes[dtype] });
}

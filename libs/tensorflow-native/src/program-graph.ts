// The graph of a whole program: its variables with what reads and writes them, and the recorded functions over them.
import { pruneGraph } from './graph.js';
import { applyPrecision } from './mixed-precision.js';
import { attribute, attributeTypes, dataTypes } from './native.js';
import { stagedOutput } from './staging.js';
import { frozenNode, traceFunction } from './trace.js';
import type { GraphNode } from './graph.js';
import type { FrozenValues, ProgramDefinition } from './program-definition.js';
import type { TensorFlowRuntime } from './runtime.js';

/** A program's graph. */
export interface ProgramGraph {
  /** All that its functions, and reading and writing its state, need. */
  readonly nodes: readonly GraphNode[];
  /** Names of each function's outputs. */
  readonly outputs: Readonly<Record<string, readonly string[]>>;
}

/**
 * Records all functions of a program. A state variable is written by running `set/…`, fed by `value/…`, and read by `get/…`.
 *
 * @throws KindredError FAILED_PRECONDITION naming the operation that can't be recorded.
 */
export function programGraph(runtime: TensorFlowRuntime, definition: ProgramDefinition): ProgramGraph {
  const nodes: GraphNode[] = [doneNode];
  const targets: string[] = [];
  for (const [name, shape] of Object.entries(definition.state)) {
    nodes.push(...variableNodes(name, shape));
    targets.push(`set/${name}`, `get/${name}`);
  }
  nodes.push(...Object.entries(definition.frozen ?? {}).map(([name, frozen]) => constantNode(name, frozen)));
  const outputs: Record<string, readonly string[]> = {};
  for (const [name, fn] of Object.entries(definition.functions)) {
    const trace = traceFunction(runtime.backend, name, definition, fn);
    nodes.push(...applyPrecision(trace.nodes, fn.precision ?? 'float32'));
    outputs[name] = trace.outputs;
    targets.push(...trace.outputs.map((output) => `${name}/output/${output}`));
    if (fn.ahead !== undefined) targets.push(stagedOutput(name));
  }
  return { nodes: pruneGraph(nodes, targets), outputs };
}

// What a write of state gives back, since only tensors can be fetched.
const doneNode: GraphNode = {
  name: 'set/done',
  op: 'Const',
  attributes: [],
  inputs: [],
  constant: { dtype: dataTypes.float32, shape: [], bytes: new Uint8Array(4) },
};

function constantNode(name: string, { shape, values }: FrozenValues): GraphNode {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const constant = { dtype: dataTypes.float32, shape, bytes };
  return { name: frozenNode(name), op: 'Const', attributes: [], inputs: [], constant };
}

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

// An input that is handed in one call ahead: a run takes the value staged before from the graph's staging area, and may stage the
// next one meanwhile, so that its way to the device overlaps the computation.
import { attribute, attributeTypes, dataTypes } from './native.js';
import type { GraphNode } from './graph.js';
import type { OpAttribute } from './native.js';
import type { InputDefinition } from './program-definition.js';

/** Name of the node that the next value of a function's staged input is fed to. */
export function nextInput(name: string, key: string): string {
  return `${name}/next/${key}`;
}

/** Name of the node whose output is fetched to stage that value. */
export function stagedOutput(name: string): string {
  return `${name}/staged`;
}

/**
 * The nodes of a function's staged input: its value is that of node `input`. A staging area keeps the order in which it was filled,
 * and the value of this run is in it before the run begins: so it does not matter whether `Stage` or `Unstage` runs first.
 */
export function stagingNodes(name: string, key: string, { dtype, shape }: InputDefinition, input: string): GraphNode[] {
  const type = attribute.type('T', dtype);
  const shapeAttribute: OpAttribute = { name: 'shape', type: attributeTypes.shape, value: shape };
  const area: OpAttribute[] = [
    { name: 'dtypes', type: attributeTypes.type, value: [dataTypes[dtype]] },
    attribute.string('shared_name', `${name}/${key}`),
  ];
  const node = (nodeName: string, op: string, attributes: readonly OpAttribute[], inputs: string[]): GraphNode => ({
    name: nodeName,
    op,
    attributes,
    inputs,
    constant: null,
  });
  return [
    node(nextInput(name, key), 'Placeholder', [attribute.type('dtype', dtype), shapeAttribute], []),
    // A fed tensor may share memory with a JavaScript array; what outlives the run must own its own.
    node(`${name}/copy/${key}`, 'DeepCopy', [type], [nextInput(name, key)]),
    node(`${name}/stage/${key}`, 'Stage', area, [`${name}/copy/${key}`]),
    {
      ...node(`${name}/stage_done`, 'Const', [], []),
      constant: { dtype: dataTypes.float32, shape: [], bytes: new Uint8Array(4) },
    },
    node(
      stagedOutput(name),
      'Identity',
      [attribute.type('T', 'float32')],
      [`${name}/stage_done`, `^${name}/stage/${key}`],
    ),
    node(`${name}/unstage/${key}`, 'Unstage', area, []),
    // A staging area does not know the shapes of what it holds; the graph's optimizer wants them.
    node(input, 'EnsureShape', [type, shapeAttribute], [`${name}/unstage/${key}`]),
  ];
}

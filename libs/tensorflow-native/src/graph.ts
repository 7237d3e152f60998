// The graphs of compiled programs: what is done with them before TensorFlow loads them.
import { KindredError } from '@kindred/errors';
import { encodeSavedModel as encode } from '@kindred/formats';
import type { GraphNode } from '@kindred/formats';

export type { GraphNode };

/** The tag under which the graph is stored and loaded. */
export const graphTag = 'kindred';

/** Drops the nodes that none of `targets` needs. */
export function pruneGraph(nodes: readonly GraphNode[], targets: readonly string[]): GraphNode[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const needed = new Set<string>();
  const open = [...targets];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const plain = nodeOf(name);
    if (needed.has(plain)) continue;
    const node = byName.get(plain);
    if (node === undefined)
      throw new KindredError('INTERNAL', `the compiled graph refers to '${plain}', which it does not hold`);
    needed.add(plain);
    open.push(...node.inputs);
  }
  return nodes.filter(({ name }) => needed.has(name));
}

/** The bytes of `saved_model.pb`, stored under {@link graphTag}. */
export function encodeSavedModel(nodes: readonly GraphNode[]): Uint8Array {
  return encode({ tag: graphTag, nodes });
}

/** The node's name in an input reference. */
export function nodeOf(reference: string): string {
  return reference.replace(/^\^/, '').replace(/:\d+$/, '');
}

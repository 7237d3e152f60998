// Names that others give a ResNet-18's tensors, turned into those of the reference: wrappers, torchvision, lightly.
import type { NamedTensors, Tensor } from '@kindred/formats';

/** Tensors under the reference's names, sorted by the part that they belong to. */
export interface RenamedTensors {
  /** `backbone.…`. */
  readonly backbone: ReadonlyMap<string, Tensor>;
  /** Of the projection head, without its prefix: `weight`, `0.weight`, `2.bias`. */
  readonly head: ReadonlyMap<string, Tensor>;
  /** Of classifiers on top, which no embedding needs; names as they were. */
  readonly leftOut: readonly string[];
  /** The name that a tensor had in the file, by `backbone.…`. */
  readonly original: ReadonlyMap<string, string>;
}

/** What DataParallel, Lightning and others put before every name. */
const wrappers = ['module.', 'model.', 'net.'];
const backbonePrefixes = ['backbone.', 'encoder.', 'resnet.'];
const headPrefixes = ['contrastive_head.', 'projection_head.', 'projector.', 'head.'];
/** torchvision's, lightly's, and those of SCAN's clustering step. */
const classifierPrefixes = ['fc.', 'linear.', 'classifier.', 'cluster_head.'];

/** Sorts and renames; what is no part of a backbone or head keeps a place in `backbone`, so that a check names it. */
export function renameTensors(tensors: NamedTensors): RenamedTensors {
  const backbone = new Map<string, Tensor>();
  const head = new Map<string, Tensor>();
  const leftOut: string[] = [];
  const original = new Map<string, string>();
  for (const [name, value] of unwrapped(tensors)) {
    const [full, tensor] = value;
    // Of a backbone that is alone, its own classifier: `backbone.fc.weight`.
    const inner = withoutPrefix(name, backbonePrefixes);
    const headName = withoutPrefix(name, headPrefixes);
    const ofHead = headName?.replace(/^layers\./, '') ?? null;
    if (classifierPrefixes.some((prefix) => (inner ?? name).startsWith(prefix))) leftOut.push(full);
    else if (ofHead !== null && !head.has(ofHead)) head.set(ofHead, tensor);
    else {
      const ours = `backbone.${(inner ?? name).replace('.downsample.', '.shortcut.')}`;
      // Of two that claim one place (a network beside its moving average), the second keeps its own name and is superfluous.
      const free = backbone.has(ours) ? `backbone.${full}` : ours;
      backbone.set(free, tensor);
      original.set(free, full);
    }
  }
  return { ...named(backbone, original), head, leftOut };
}

/** Tensors without the wrappers that all names begin with; the value keeps the whole name. */
function unwrapped(tensors: NamedTensors): Map<string, [string, Tensor]> {
  let result = new Map([...tensors].map(([name, tensor]) => [name, [name, tensor] as [string, Tensor]]));
  for (;;) {
    const wrapper = wrappers.find((prefix) => [...result.keys()].every((name) => name.startsWith(prefix)));
    if (wrapper === undefined || result.size === 0) return result;
    result = new Map([...result].map(([name, value]) => [name.slice(wrapper.length), value]));
  }
}

function withoutPrefix(name: string, prefixes: readonly string[]): string | null {
  const prefix = prefixes.find((candidate) => name.startsWith(candidate));
  return prefix === undefined ? null : name.slice(prefix.length);
}

/**
 * A backbone that was made of another's children has numbers in place of names (`backbone.0.weight`, `backbone.4.0.conv1.weight`):
 * they count the stem, its norm, and the stages, with or without the parts between that have no tensors.
 */
function named(
  backbone: ReadonlyMap<string, Tensor>,
  original: ReadonlyMap<string, string>,
): Pick<RenamedTensors, 'backbone' | 'original'> {
  const numbers = [...new Set([...backbone.keys()].map((name) => /^backbone\.(\d+)\./.exec(name)?.[1]))];
  if (numbers.length !== 6 || numbers.includes(undefined)) return { backbone, original };
  const order = numbers.map(Number).sort((a, b) => a - b);
  const modules = ['conv1', 'bn1', 'layer1', 'layer2', 'layer3', 'layer4'];
  const rename = (name: string): string =>
    name.replace(
      /^backbone\.(\d+)\./,
      (_, number: string) => `backbone.${modules[order.indexOf(Number(number))] ?? ''}.`,
    );
  return {
    backbone: new Map([...backbone].map(([name, tensor]) => [rename(name), tensor])),
    original: new Map([...original].map(([name, full]) => [rename(name), full])),
  };
}

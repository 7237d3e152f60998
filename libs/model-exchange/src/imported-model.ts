// A model from tensors that others have named: what it is follows from names and shapes, and what does not fit is listed.
import { KindredError } from '@kindred/errors';
import { toFloat32, type NamedTensors, type Tensor } from '@kindred/formats';
import { createArchitecture, modelSpecification } from '@kindred/simclr';
import type { Architecture, BackboneForm, ParameterSpecification, StateDict } from '@kindred/simclr';
import { readHead } from './foreign-head.js';
import { renameTensors } from './foreign-names.js';

/** A recognised model. */
export interface ImportedModel {
  readonly architecture: Architecture;
  readonly parameters: StateDict;
  /** Names of tensors that the model does not need: classifiers on top of it. */
  readonly leftOut: readonly string[];
}

type Violation = { readonly field: string; readonly description: string };

/** Violations that the message spells out; the error's fields have all. */
const maxSpelled = 20;
/** Number of batches that BatchNorm has seen: newer than some files, and of no use to an embedding. */
const counts = 'num_batches_tracked';

/**
 * Recognises a ResNet-18 with a projection head or without one, under the reference's names, with `module.`, `encoder.` and the like
 * before them, under torchvision's (`downsample`), or with lightly's numbers. `asked` names the form: `cifar` and `stl` have the same
 * tensors, and `cifar` is taken for a 3×3 stem without it.
 *
 * @throws KindredError INVALID_ARGUMENT with a violation for each tensor that is missing, superfluous, or of the wrong shape or type.
 */
export function recogniseModel(tensors: NamedTensors, asked?: BackboneForm): ImportedModel {
  const { backbone, head, leftOut, original } = renameTensors(tensors);
  const { kind, featureDim, tensors: headTensors } = readHead(head);
  const { width, form } = readStem(backbone.get('backbone.conv1.weight'), tensors, asked);
  const architecture = createArchitecture({ form, width, head: kind, featureDim: featureDim ?? width * 8 });
  const found = new Map([...backbone, ...headTensors]);
  const violations: Violation[] = [];
  const parameters: Record<string, Float32Array> = {};
  for (const specification of modelSpecification(architecture)) {
    const { name, shape } = specification;
    const tensor = found.get(name);
    found.delete(name);
    if (tensor === undefined && name.endsWith(counts)) parameters[name] = new Float32Array(1);
    else {
      const problem = problemOf(tensor, specification);
      if (problem === null) parameters[name] = toFloat32(tensor as Tensor);
      else
        violations.push({
          field: original.get(name) ?? name,
          description: `${problem}; needed: [${shape.join(', ')}]`,
        });
    }
  }
  for (const [name, { shape }] of found) {
    violations.push({
      field: original.get(name) ?? name,
      description: `superfluous, of shape [${shape.join(', ')}]: a ResNet-18 has no such tensor`,
    });
  }
  if (violations.length > 0) throw misfit(violations, architecture);
  return { architecture, parameters, leftOut };
}

interface Stem {
  /** Channels, from which all other sizes follow. */
  readonly width: number;
  readonly form: BackboneForm;
}

/** Reads the stem: its 7×7 kernel tells ImageNet's form, while the two with 3×3 have the same tensors. */
function readStem(stem: Tensor | undefined, tensors: NamedTensors, asked: BackboneForm | undefined): Stem {
  const [width = 0, inputs, height, breadth] = stem?.shape ?? [];
  const known = inputs === 3 && height === breadth && (height === 3 || height === 7);
  const form = height === 7 ? 'imagenet' : asked === 'imagenet' ? 'cifar' : (asked ?? 'cifar');
  if (stem !== undefined && known && (asked ?? form) === form) return { width, form };
  const names = [...tensors.keys()];
  const description =
    stem === undefined
      ? `missing among ${names.length} tensors (${names.slice(0, maxSpelled).join(', ')}${names.length > maxSpelled ? ', …' : ''})`
      : `got shape [${stem.shape.join(', ')}]`;
  const shapes = { cifar: '[width, 3, 3, 3]', stl: '[width, 3, 3, 3]', imagenet: '[width, 3, 7, 7]' };
  const allowed =
    asked === undefined
      ? 'allowed: a ResNet-18 with a 3×3 stem [width, 3, 3, 3] or a 7×7 one [width, 3, 7, 7]'
      : `allowed in the ${asked} form: ${shapes[asked]}`;
  throw new KindredError('INVALID_ARGUMENT', `backbone.conv1.weight: ${description}; ${allowed}`, {
    violations: [{ field: 'backbone.conv1.weight', description: `${description}; ${allowed}` }],
  });
}

function problemOf(tensor: Tensor | undefined, { shape, kind }: ParameterSpecification): string | null {
  if (tensor === undefined) return 'missing';
  if (tensor.shape.length !== shape.length || tensor.shape.some((size, axis) => size !== shape[axis])) {
    return `got shape [${tensor.shape.join(', ')}]`;
  }
  if (kind === 'batch-count') return null;
  if (['I64', 'I32', 'U8'].includes(tensor.dtype)) return `got dtype ${tensor.dtype}, allowed: floating point`;
  if (!toFloat32(tensor).every(Number.isFinite)) return 'holds values that are not finite';
  return null;
}

function misfit(violations: readonly Violation[], { width, head, featureDim }: Architecture): KindredError {
  const spelled = violations.slice(0, maxSpelled).map(({ field, description }) => `${field}: ${description}`);
  const rest = violations.length - spelled.length;
  return new KindredError(
    'INVALID_ARGUMENT',
    `${violations.length} tensors do not fit a ResNet-18 of width ${width} with head '${head}' of ${featureDim} features: ` +
      `${spelled.join(' · ')}${rest > 0 ? ` · and ${rest} more` : ''}`,
    { violations },
  );
}

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
 * before them, under torchvision's (`downsample`), or with lightly's numbers. `form` cannot be told from the tensors: both have the same.
 *
 * @throws KindredError INVALID_ARGUMENT with a violation for each tensor that is missing, superfluous, or of the wrong shape or type.
 */
export function recogniseModel(tensors: NamedTensors, form: BackboneForm): ImportedModel {
  const { backbone, head, leftOut, original } = renameTensors(tensors);
  const { kind, featureDim, tensors: headTensors } = readHead(head);
  const width = stemWidth(backbone.get('backbone.conv1.weight'), tensors);
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

/** Channels of the stem, from which all other sizes follow. */
function stemWidth(stem: Tensor | undefined, tensors: NamedTensors): number {
  const [width = 0, inputs, height, breadth] = stem?.shape ?? [];
  if (stem !== undefined && inputs === 3 && height === 3 && breadth === 3) return width;
  const names = [...tensors.keys()];
  const description =
    stem === undefined
      ? `missing among ${names.length} tensors (${names.slice(0, maxSpelled).join(', ')}${names.length > maxSpelled ? ', …' : ''})`
      : `got shape [${stem.shape.join(', ')}]`;
  const allowed =
    'allowed: a ResNet-18 with a 3×3 stem [width, 3, 3, 3], as for CIFAR and STL-10, not the 7×7 one of ImageNet';
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

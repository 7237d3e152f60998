// Models under others' names: the same tensors come out, a head with BatchNorm computes the same, and misfits are listed.
import { tensor, toFloat32, type NamedTensors, type Tensor } from '@kindred/formats';
import { createArchitecture, initialParameters, namedTensors } from '@kindred/simclr';
import { isKindredError, type KindredError } from '@kindred/errors';
import { describe, expect, it } from 'vitest';
import { recogniseModel } from './imported-model.js';

const architecture = createArchitecture({ width: 2, featureDim: 8 });
const parameters = initialParameters(architecture, 3);
const reference = namedTensors(architecture, parameters);

function renamed(rename: (name: string) => string | null, tensors: NamedTensors = reference): Map<string, Tensor> {
  return new Map(
    [...tensors].flatMap(([name, value]) => {
      const other = rename(name);
      return other === null ? [] : [[other, value] as [string, Tensor]];
    }),
  );
}

function refusal(tensors: NamedTensors): KindredError {
  try {
    recogniseModel(tensors, 'cifar');
  } catch (thrown) {
    if (isKindredError(thrown, 'INVALID_ARGUMENT')) return thrown;
    throw thrown;
  }
  throw new Error('nothing was refused');
}

const torchvision = (name: string): string | null =>
  name.startsWith('contrastive_head') ? null : name.replace('backbone.', '').replace('.shortcut.', '.downsample.');
/** `nn.Sequential(*list(resnet.children())[:-1])` of torchvision's numbers ReLU and max-pool too; lightly's own has neither. */
const numbered =
  (modules: readonly string[]) =>
  (name: string): string | null => {
    if (name.startsWith('contrastive_head')) return null;
    const [, module = '', rest = ''] = /^backbone\.([^.]+)\.(.*)$/.exec(name) ?? [];
    return `backbone.${modules.indexOf(module)}.${rest}`;
  };
const plain = numbered(['conv1', 'bn1', 'layer1', 'layer2', 'layer3', 'layer4']);
const children = numbered(['conv1', 'bn1', 'relu', 'maxpool', 'layer1', 'layer2', 'layer3', 'layer4']);

describe('recognising a model', () => {
  it.each<[string, (name: string) => string]>([
    ['the reference', (name) => name],
    ['DataParallel', (name) => `module.${name}`],
    ['two wrappers', (name) => `model.module.${name}`],
    [
      'an encoder and its projector',
      (name) => name.replace('backbone.', 'encoder.').replace('contrastive_head.', 'projector.'),
    ],
    [
      'lightly',
      (name) =>
        name.startsWith('backbone')
          ? (plain(name) ?? '')
          : name.replace('contrastive_head.', 'projection_head.layers.'),
    ],
  ])('of %s gives the same model', (_, rename) => {
    expect(recogniseModel(renamed(rename), 'cifar')).toEqual({ architecture, parameters, leftOut: [] });
  });

  it.each<[string, (name: string) => string | null]>([
    ['torchvision', torchvision],
    ['numbered children', children],
    ['numbered modules', plain],
  ])('of %s without a head embeds by the backbone', (_, rename) => {
    const tensors = renamed(rename);
    tensors.set('fc.weight', tensor('F32', [10, 16], new Float32Array(160)));
    const model = recogniseModel(tensors, 'stl');
    expect(model.architecture).toEqual(createArchitecture({ width: 2, head: 'none', featureDim: 16, form: 'stl' }));
    expect(model.leftOut).toEqual(['fc.weight']);
    for (const [name, values] of Object.entries(model.parameters)) expect(values).toEqual(parameters[name]);
  });

  it('takes half precision, and files older than num_batches_tracked', () => {
    const halves = renamed((name) => (name.endsWith('num_batches_tracked') ? null : name));
    halves.set('backbone.bn1.bias', tensor('F16', [2], Uint16Array.of(0x3c00, 0xc000)));
    const model = recogniseModel(halves, 'cifar');
    expect(model.parameters['backbone.bn1.bias']).toEqual(Float32Array.of(1, -2));
    expect(model.parameters['backbone.bn1.num_batches_tracked']).toEqual(Float32Array.of(0));
  });

  it('folds BatchNorm into the linear layer before it', () => {
    const random = (count: number, seed: number): Float32Array =>
      Float32Array.from({ length: count }, (_, i) => Math.sin((i + 1) * seed) * 0.5 + 0.75);
    const head: [string, Tensor][] = [
      ['0.weight', tensor('F32', [16, 16], random(256, 1.1))],
      ['1.weight', tensor('F32', [16], random(16, 2.3))],
      ['1.bias', tensor('F32', [16], random(16, 3.7))],
      ['1.running_mean', tensor('F32', [16], random(16, 4.1))],
      ['1.running_var', tensor('F32', [16], random(16, 5.9))],
      ['1.num_batches_tracked', tensor('I64', [], BigInt64Array.of(7n))],
      ['3.weight', tensor('F32', [8, 16], random(128, 6.1))],
    ];
    const tensors = renamed((name) => (name.startsWith('contrastive_head') ? null : name));
    for (const [name, value] of head) tensors.set(`projection_head.layers.${name}`, value);
    const model = recogniseModel(tensors, 'cifar');
    expect(model.architecture).toEqual(architecture);

    // By hand, as the layers say: W·x, then γ·(y − μ)/√(σ² + 1e-5) + β.
    const given = new Map(head.map(([name, value]) => [name, toFloat32(value)]));
    const at = (name: string, i: number): number => given.get(name)?.[i] ?? NaN;
    const x = random(16, 7.7);
    for (let row = 0; row < 16; row++) {
      const y = x.reduce((sum, value, i) => sum + value * at('0.weight', row * 16 + i), 0);
      const expected =
        ((y - at('1.running_mean', row)) / Math.sqrt(at('1.running_var', row) + 1e-5)) * at('1.weight', row) +
        at('1.bias', row);
      const weight = model.parameters['contrastive_head.0.weight'] as Float32Array;
      const actual = x.reduce(
        (sum, value, i) => sum + value * (weight[row * 16 + i] ?? NaN),
        model.parameters['contrastive_head.0.bias']?.[row] ?? NaN,
      );
      expect(actual).toBeCloseTo(expected, 4);
    }
    expect(model.parameters['contrastive_head.2.bias']).toEqual(new Float32Array(8));
  });
});

describe('what does not fit', () => {
  it('is listed whole, under the names of the file', () => {
    const tensors = renamed((name) => (name.includes('layer3.1.bn2') ? null : `module.${name}`));
    tensors.set('module.backbone.layer2.0.conv1.weight', tensor('F32', [4, 2, 1, 1], new Float32Array(8)));
    tensors.set('module.backbone.bn1.weight', tensor('F32', [2], Float32Array.of(1, NaN)));
    tensors.set('module.backbone.layer5.weight', tensor('F32', [1], new Float32Array(1)));
    const { violations } = refusal(tensors);
    const fields = violations.map(({ field }) => field).sort();
    expect(fields).toEqual(
      [
        'backbone.layer3.1.bn2.bias',
        'backbone.layer3.1.bn2.running_mean',
        'backbone.layer3.1.bn2.running_var',
        'backbone.layer3.1.bn2.weight',
        'module.backbone.bn1.weight',
        'module.backbone.layer2.0.conv1.weight',
        'module.backbone.layer5.weight',
      ].sort(),
    );
  });

  it('names a stem of another size or form, and files without one', () => {
    const stem = (side: number): Map<string, Tensor> =>
      renamed(torchvision).set('conv1.weight', tensor('F32', [2, 3, side, side], new Float32Array(6 * side * side)));
    expect(refusal(stem(5)).violations).toEqual([
      { field: 'backbone.conv1.weight', description: expect.stringContaining('[2, 3, 5, 5]') as string },
    ]);
    expect(recogniseModel(stem(7)).architecture.form).toBe('imagenet');
    expect(refusal(stem(7)).violations[0]?.description).toContain('cifar');
    expect(() => recogniseModel(stem(3), 'imagenet')).toThrow(/\[width, 3, 7, 7\]/);
    expect(refusal(new Map()).violations[0]?.field).toBe('backbone.conv1.weight');
  });

  it('lists the second of two networks in one file', () => {
    const second = renamed((name) =>
      name.replace(/^(backbone|contrastive_head)/, (part) => (part === 'backbone' ? 'encoder' : 'projector')),
    );
    const { violations } = refusal(new Map([...reference, ...second]));
    expect(violations.map(({ field }) => field).sort()).toEqual([...second.keys()].sort());
  });

  it('names a head that is none', () => {
    const tensors = new Map([
      ...reference,
      ['contrastive_head.4.weight', tensor('F32', [8, 8], new Float32Array(64))],
    ]) as NamedTensors;
    expect(refusal(tensors).violations[0]?.field).toBe('contrastive_head');
  });
});

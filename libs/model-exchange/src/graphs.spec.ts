// The graphs' parts; their numbers are judged by TensorFlow itself (tensorflow-native) and by Python (tools/acceptance).
import { createArchitecture, initialParameters } from '@kindred/simclr';
import { describe, expect, it } from 'vitest';
import { toOnnxModel, toSavedModel } from './index.js';
import { networkInput, networkLayers } from './network-layers.js';

describe.each(['cifar', 'stl', 'imagenet'] as const)('the network in the %s form', (form) => {
  const architecture = createArchitecture({ form, width: 2 });

  it('is written down in an order in which it can be computed, each name once', () => {
    const { layers, backbone, embedding } = networkLayers(architecture);
    const known = new Set([networkInput]);
    for (const layer of layers) {
      const inputs = layer.kind === 'add' ? [layer.left, layer.right] : [layer.input];
      for (const input of inputs) expect(known).toContain(input);
      expect(known).not.toContain(layer.name);
      known.add(layer.name);
    }
    expect(known).toContain(backbone);
    expect(known).toContain(embedding);
    // He et al. 2016, table 1: 17 convolutions and three shortcuts, then two linear layers (SimCLR §4.2).
    const count = (kind: string): number => layers.filter((layer) => layer.kind === kind).length;
    expect([count('convolution'), count('batch-norm'), count('add'), count('linear')]).toEqual([20, 20, 8, 2]);
    expect(count('max-pool')).toBe(form === 'cifar' ? 0 : 1);
  });

  it('has standard operations only', () => {
    const parameters = initialParameters(architecture, 1);
    const normalisation = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };
    const model = { architecture, parameters, normalisation, cropSize: 96, origin: {} };
    for (const bytes of [toSavedModel(model), toOnnxModel(model)]) {
      const text = Buffer.from(bytes).toString('latin1');
      expect(text).toContain('layer4.1.conv2');
      expect(text).not.toContain('Kindred');
    }
  });
});

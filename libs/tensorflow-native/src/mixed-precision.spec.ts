// A training step in 16 bits: what it makes of the graph, and how far its numbers are from float32's.
import { createArchitecture, initialParameters } from '@kindred/simclr';
import { describe, expect, it } from 'vitest';
import { applyPrecision, lowTypes } from './mixed-precision.js';
import { dataTypes } from './native.js';
import { loadTensorFlow } from './runtime.js';
import { traceFunction } from './trace.js';
import { createTrainer } from './trainer.js';
import { trainingProgram } from './training-program.js';
import type { StateDict } from '@kindred/simclr';
import type { GraphNode } from './graph.js';
import type { Precision } from './mixed-precision.js';
import type { TrainerOptions } from './trainer.js';

const runtime = loadTensorFlow();
const [side, batchSize] = [8, 8];
const architecture = createArchitecture({ width: 4, featureDim: 32 });
const stl = createArchitecture({ width: 2, featureDim: 8, form: 'stl' });
const options: TrainerOptions = {
  architecture,
  parameters: initialParameters(architecture, 1),
  optimizer: { momentum: 0.9 },
  temperature: 0.2,
  normalisation: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
  batchSize,
  imageSize: { height: side, width: side },
};

describe('the graph of a step in bfloat16', () => {
  const step = (precision: Precision): GraphNode[] => {
    const definition = trainingProgram({ ...options, precision }, runtime);
    const fn = definition.functions['step'];
    if (fn === undefined) throw new Error('the program has no step');
    return applyPrecision(traceFunction(runtime.backend, 'step', definition, fn).nodes, precision);
  };
  const nodes = step('bfloat16');
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const typeOf = ({ attributes }: GraphNode, name = 'T'): unknown =>
    attributes.find((entry) => entry.name === name)?.value;
  const plain = (reference: string): string => reference.replace(/^\^/, '').replace(/:\d+$/, '');
  /** Nodes that are reached from `start` over data edges, in the direction of `next`. */
  const reach = (start: readonly string[], next: (name: string) => readonly string[]): Set<string> => {
    const found = new Set(start);
    for (const name of found) next(name).forEach((other) => found.add(other));
    return found;
  };
  const sources = (name: string): string[] =>
    (byName.get(name)?.inputs ?? []).filter((input) => !input.startsWith('^')).map(plain);
  const readers = (name: string): string[] =>
    nodes.filter(({ inputs }) => inputs.map(plain).includes(name)).map((node) => node.name);
  const typesOf = (op: string): unknown[] => nodes.filter((node) => node.op === op).map((node) => typeOf(node));
  const low = (count: number): number[] => Array<number>(count).fill(lowTypes.bfloat16);

  it('has the network’s arithmetic in it: 20 convolutions and BatchNorms, 2 linear layers, with their gradients', () => {
    expect(typesOf('Conv2D')).toEqual(low(20));
    expect(typesOf('Conv2DBackpropFilter')).toEqual(low(20));
    expect(typesOf('Conv2DBackpropInput')).toEqual(low(20));
    for (const op of ['FusedBatchNormV3', 'FusedBatchNormGradV3']) {
      expect(typesOf(op)).toEqual(low(20));
      expect(nodes.filter((node) => node.op === op).map((node) => typeOf(node, 'U'))).toEqual(Array(20).fill(1));
    }
    expect(typesOf('MatMul')).toEqual(low(6));
    expect(typesOf('Relu')).toEqual(low(18));
    expect(typesOf('ReluGrad')).toEqual(low(18));
  });

  it('is float32 from the embedding’s normalisation to the loss, in all state, and in every sum', () => {
    const normalisation = nodes.find(({ op }) => op === 'Square')?.name ?? '';
    const before = reach(['step/output/loss'], (name) => (name === normalisation ? [] : sources(name)));
    const after = reach([normalisation], readers);
    const loss = nodes.filter(({ name }) => before.has(name) && after.has(name));
    expect(loss.map(({ op }) => op)).toEqual(expect.arrayContaining(['Sqrt', 'BatchMatMulV2', 'Exp', 'Log']));
    expect(loss.filter((node) => typeOf(node) === lowTypes.bfloat16)).toEqual([]);
    for (const op of ['ResourceApplyMomentum', 'Mean', 'Sum', 'BiasAddGrad', 'Identity']) {
      expect(new Set(typesOf(op)), op).toEqual(new Set([dataTypes.float32]));
    }
  });

  it('casts at borders only, each value once', () => {
    const casts = nodes.filter(({ name }) => /\/(bfloat16|float32)$/.test(name));
    // Into 16 bits: 22 weights, 2 biases, the pixels, the averages, and the gradients of embedding and average.
    // Out of them: 22 weights' gradients, the last map, the embedding, the gradients of one bias and of the averages.
    expect(casts).toHaveLength(22 + 2 + 4 + 22 + 4);
    expect(new Set(casts.map(({ inputs }) => inputs[0])).size).toBe(casts.length);
    for (const { name, inputs } of casts) {
      expect(inputs.map((input) => byName.get(plain(input))?.op)).not.toContain('Cast');
      expect(readers(name), name).not.toEqual([]);
    }
  });

  it('is left as it was recorded in float32', () => {
    const recorded = step('float32');
    expect(applyPrecision(recorded, 'float32')).toEqual(recorded);
    expect(recorded.every((node) => typeOf(node) !== lowTypes.bfloat16)).toBe(true);
  });
});

describe('a trainer in 16 bits', () => {
  // TensorFlow checks the types on every edge when it loads the graph; the run shows that all kernels are there.
  it.each(['bfloat16', 'float16'] as const)('runs in %s: whole, in parts, and with the STL stem', (precision) => {
    for (const extra of [
      {},
      { accumulateSteps: 2 },
      { architecture: stl, parameters: initialParameters(stl, 1), batchSize: 2, imageSize: { height: 96, width: 96 } },
    ]) {
      const given = { ...options, ...extra, precision };
      const [own, reference] = [createTrainer(given), createTrainer({ ...given, precision: 'float32' })];
      const batch = drawnViews(0, given.batchSize, given.imageSize.height);
      expect(own.step(batch, 0.01) / reference.step(batch, 0.01)).toBeCloseTo(1, 1);
      own.dispose();
      reference.dispose();
    }
  });

  it('has float32’s gradient up to the type’s rounding', () => {
    // At rate 0 without decay the momentum buffers are the gradient.
    const gradient = (extra: Partial<TrainerOptions>): Float32Array => {
      const trainer = createTrainer({ ...options, ...extra });
      trainer.step(drawnViews(0), 0);
      const { momentum } = trainer.state();
      trainer.dispose();
      return Float32Array.from(Object.values(momentum).flatMap((values) => [...values]));
    };
    const expected = gradient({});
    // The judge: float32 arithmetic on parameters rounded to bfloat16, whose error the feature maps' rounding about doubles
    // (1 - cosine: 0.035 and 0.072).
    const rounded = Object.entries(options.parameters).map(([name, values]) => [name, values.map(toBfloat16)]);
    const allowed = 4 * (1 - cosine(gradient({ parameters: Object.fromEntries(rounded) as StateDict }), expected));
    const bfloat16 = 1 - cosine(gradient({ precision: 'bfloat16' }), expected);
    const float16 = 1 - cosine(gradient({ precision: 'float16' }), expected);
    expect(bfloat16).toBeGreaterThan(1e-3);
    expect(bfloat16).toBeLessThan(allowed);
    expect(float16).toBeLessThan(bfloat16 / 2);
    expect(
      cosine(gradient({ precision: 'float16', accumulateSteps: 2 }), gradient({ accumulateSteps: 2 })),
    ).toBeGreaterThan(0.9);
  });

  it('moves parameters by less than a 16-bit number could', () => {
    const trainer = createTrainer({ ...options, precision: 'bfloat16' });
    const rate = 1e-4;
    trainer.step(drawnViews(0), rate);
    const { parameters, momentum } = trainer.state();
    trainer.dispose();
    let moved = 0;
    for (const [name, buffer] of Object.entries(momentum)) {
      const [before, after] = [options.parameters[name] ?? [], parameters[name] ?? []];
      buffer.forEach((value, i) => {
        const expected = (before[i] ?? 0) - rate * value;
        // Two roundings of float32, whose unit is 2^-24.
        expect(Math.abs((after[i] ?? 0) - expected)).toBeLessThanOrEqual(2 ** -23 * Math.abs(expected) + 1e-12);
        if (after[i] !== before[i]) moved++;
      });
    }
    // Of 46,404 values; in bfloat16 a step of less than 1/512 of a value is lost.
    expect(moved).toBeGreaterThan(10_000);
  });

  it('ends in NaN where the scaled gradient overflows, and takes a scale with float16 only', () => {
    const trainer = createTrainer({ ...options, precision: 'float16', lossScale: 2 ** 24 });
    expect(trainer.step(drawnViews(0), 0.01)).toBeGreaterThan(0);
    expect(trainer.step(drawnViews(1), 0.01)).toBeNaN();
    trainer.dispose();
    const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
    expect(() => createTrainer({ ...options, precision: 'bfloat16', lossScale: 1024 })).toThrow(refused);
    expect(() => createTrainer({ ...options, precision: 'float16', lossScale: 0 })).toThrow(refused);
  });

  it('learns over 300 steps as float32 does, within the noise of its starts', { timeout: 600_000 }, () => {
    const batches = Array.from({ length: 300 }, (_, step) => drawnViews(step));
    const starts = [1, 2, 3];
    const curves = starts.map((seed) => {
      const parameters = initialParameters(architecture, seed);
      const trainer = createTrainer({ ...options, precision: 'bfloat16', parameters });
      const losses = batches.map((batch) => trainer.step(batch, 0.01));
      trainer.dispose();
      return Array.from({ length: 15 }, (_, window) => mean(losses.slice(20 * window, 20 * window + 20)));
    });
    const average = float32Band.means.map((_, window) => mean(curves.map((curve) => curve[window] ?? NaN)));
    // Four standard errors of the difference between a mean of eight starts and one of three: 0.44, a quarter of what is learnt.
    const allowed = 4 * float32Band.deviation * Math.sqrt(1 / float32Band.starts + 1 / starts.length);
    average.forEach((loss, window) => {
      const difference = Math.abs(loss - (float32Band.means[window] ?? NaN));
      expect(difference, `steps ${20 * window + 1} to ${20 * window + 20}`).toBeLessThan(allowed);
    });
    expect((average[0] ?? NaN) - (average.at(-1) ?? NaN)).toBeGreaterThan(3 * allowed);
  });
});

/**
 * Losses of this trainer in float32, recorded: means of 20 steps at a time over eight starts (seeds 1 to 8), and the standard deviation
 * between starts, pooled over the 15 windows. Starts and rounding are amplified alike, so the band does not belong to one processor.
 */
const float32Band = {
  starts: 8,
  deviation: 0.162,
  means: [2.49, 2.023, 1.869, 1.707, 1.48, 1.404, 1.34, 1.226, 1.139, 1.014, 1.05, 0.924, 0.908, 0.829, 0.834],
};

/** To the nearest number of 8 bits of precision, halves to the even one. */
function toBfloat16(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0;
  return new Float32Array(Uint32Array.of((bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000).buffer)[0] ?? NaN;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function cosine(a: Float32Array, b: Float32Array): number {
  const product = (x: Float32Array, y: Float32Array): number =>
    x.reduce((sum, value, i) => sum + value * (y[i] ?? NaN), 0);
  return product(a, b) / Math.sqrt(product(a, a) * product(b, b));
}

/** Two views each of `images` waves of colour, drawn anew for each `step`: the same wave, other noise. */
function drawnViews(step: number, images = batchSize, size = side): Uint8Array {
  const views = new Uint8Array(images * 2 * size * size * 3);
  return views.map((_, i) => {
    const [channel, x, y] = [i % 3, Math.floor(i / 3) % size, Math.floor(i / (3 * size)) % size];
    const image = step * images + Math.floor(i / (2 * size * size * 3));
    const draw = (salt: number): number => hash(image * 101 + channel * 7 + salt);
    const phase = (((draw(1) % 5) * x + (draw(2) % 5) * y) * 3) / size + (draw(3) % 628) / 100;
    const noise = (hash(i + step * 99_991) % 100) - 50;
    return Math.min(Math.max(128 + 70 * Math.sin(phase) + noise, 0), 255);
  });
}

function hash(value: number): number {
  const mixed = Math.imul(value ^ 0x9e3779b9, 0x85ebca6b);
  return Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35) >>> 8;
}

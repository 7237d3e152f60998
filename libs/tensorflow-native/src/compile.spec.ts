// The compiled form against the eager one, state in and out, refusals, and no leaks.
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import {
  createArchitecture,
  initialMomentum,
  initialParameters,
  modelSpecification,
  portableOperations,
  toTensorFlowLayout,
} from '@kindred/simclr';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { compile } from './compile.js';
import { createTrainer } from './trainer.js';
import { trainingProgram } from './training-program.js';
import { loadTensorFlow } from './runtime.js';
import { createNativeOperations } from './operations.js';
import { expectSameBits } from './spec/compare-with-eager.js';
import { largestDifference } from './spec/golden-weights.js';
import type { SgdOptions } from '@kindred/simclr';
import type { ProgramDefinition } from './program-definition.js';
import type { TrainerOptions, TrainerState } from './trainer.js';

const runtime = loadTensorFlow();

const counter: ProgramDefinition = {
  state: { total: [2], calls: [] },
  functions: {
    add: {
      inputs: { x: { dtype: 'float32', shape: [-1, 2] } },
      call: (state, { x }) => {
        const total = tf.add(state['total'] as tf.Tensor, tf.sum(x as tf.Tensor, 0));
        return {
          outputs: { before: state['total'] as tf.Tensor, after: total },
          updates: { total, calls: tf.add(state['calls'] as tf.Tensor, 1) },
        };
      },
    },
  },
};

describe('compile', () => {
  it('runs with state between calls and any size of a free dimension', () => {
    const program = compile(runtime, counter);
    program.setState({ total: Float32Array.of(1, 2), calls: Float32Array.of(0) });
    const first = program.functions['add']?.({ x: Float32Array.of(1, 10, 2, 20) }, { x: [2, 2] });
    expect([...(first?.['before']?.values ?? [])]).toEqual([1, 2]);
    expect([...(first?.['after']?.values ?? [])]).toEqual([4, 32]);
    program.functions['add']?.({ x: Float32Array.of(1, 1) }, { x: [1, 2] });
    expect(program.getState()).toEqual({ total: Float32Array.of(5, 33), calls: Float32Array.of(2) });
    program.dispose();
  });

  it('owns its state: neither given nor returned arrays are tied to it', () => {
    const program = compile(runtime, counter);
    const given = { total: new Float32Array(2), calls: new Float32Array(1) };
    program.setState(given);
    given.total.fill(9);
    program.getState()['total']?.fill(7);
    expect(program.getState()).toEqual({ total: new Float32Array(2), calls: new Float32Array(1) });
    program.dispose();
    expect(() => program.getState()).toThrow(expect.objectContaining({ code: 'FAILED_PRECONDITION' }));
  });

  it('leaves no folder and no tensor behind', () => {
    const folders = (): string[] =>
      readdirSync(tmpdir()).filter((name) => name.startsWith(`kindred-graph-${process.pid}-`));
    const tensors = [tf.memory().numTensors, runtime.backend.binding.getNumOfTensors()];
    const program = compile(runtime, counter);
    program.setState({ total: new Float32Array(2), calls: new Float32Array(1) });
    for (let i = 0; i < 5; i++) program.functions['add']?.({ x: new Float32Array(6) }, { x: [3, 2] });
    program.dispose();
    expect(folders()).toEqual([]);
    expect([tf.memory().numTensors, runtime.backend.binding.getNumOfTensors()]).toEqual(tensors);
  });

  it('names the operation that uses a large constant, reads values, or depends on a free size', () => {
    const program = (call: (x: tf.Tensor) => tf.Tensor, shape = [4]): ProgramDefinition => ({
      state: {},
      functions: {
        f: {
          inputs: { x: { dtype: 'float32', shape } },
          call: (_, { x }) => ({ outputs: { y: call(x as tf.Tensor) } }),
        },
      },
    });
    const large = Float32Array.from({ length: 2000 }, (_, i) => i);
    expect(() =>
      compile(
        runtime,
        program((x) => tf.add(tf.max(x), tf.tensor1d(large))),
      ),
    ).toThrow(/Add .*8000 bytes/);
    expect(() =>
      compile(
        runtime,
        program((x) => tf.scalar(tf.max(x).dataSync()[0] ?? 0)),
      ),
    ).toThrow(/Max/);
    expect(() =>
      compile(
        runtime,
        program((x) => tf.add(x, x.shape[0] ?? 0), [-1]),
      ),
    ).toThrow(/Add|Const/);
    for (const [fault, call] of [
      [/chance/, (x: tf.Tensor) => tf.add(x, tf.randomNormal([4]))],
      [/Unique.* cannot be recorded/, (x: tf.Tensor) => tf.unique(x).values],
      [/read a tensor's values/, (x: tf.Tensor) => (x.data().catch(() => null), tf.relu(x))],
      [/compiled inside/, (x: tf.Tensor) => (compile(runtime, counter).dispose(), tf.relu(x))],
    ] as const) {
      expect(() => compile(runtime, program(call))).toThrow(fault);
    }
    const outside = tf.relu(tf.tensor1d([1, 2, 3, 4]));
    expect(() =>
      compile(
        runtime,
        program((x) => tf.add(x, outside)),
      ),
    ).toThrow(/outside the compiled function/);
    outside.dispose();
  });

  it('gives a dilated convolution the shape that it has', () => {
    const program = compile(runtime, {
      state: {},
      functions: {
        f: {
          inputs: { x: { dtype: 'float32', shape: [1, 9, 9, 1] } },
          call: (_, { x }) => {
            const y = tf.conv2d(x as tf.Tensor4D, tf.ones([3, 3, 1, 1]), 1, 'valid', 'NHWC', 2);
            return { outputs: { y: tf.mul(y, y.size) } };
          },
        },
      },
    });
    const { y } = program.functions['f']?.({ x: new Float32Array(81).fill(1) }) ?? {};
    expect([y?.shape, y?.values[0]]).toEqual([[1, 5, 5, 1], 9 * 25]);
    program.dispose();
  });

  it('refuses inputs of a wrong type, length or shape', () => {
    const program = compile(runtime, counter);
    program.setState({ total: new Float32Array(2), calls: new Float32Array(1) });
    const add = program.functions['add'];
    const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
    expect(() => add?.({ x: new Uint8Array(4) }, { x: [2, 2] })).toThrow(refused);
    expect(() => add?.({ x: new Float32Array(3) }, { x: [2, 2] })).toThrow(refused);
    expect(() => add?.({ x: new Float32Array(6) }, { x: [2, 3] })).toThrow(refused);
    expect(() => add?.({})).toThrow(refused);
    program.dispose();
  });
});

describe('the training step', () => {
  const architecture = createArchitecture({ width: 4 });
  const options: TrainerOptions = {
    architecture,
    parameters: initialParameters(architecture, 3),
    optimizer: { momentum: 0.9, weightDecay: 1e-3 },
    temperature: 0.2,
    normalisation: { mean: [0.5, 0.4, 0.3], std: [0.2, 0.25, 0.3] },
    batchSize: 4,
    imageSize: { height: 18, width: 21 },
  };
  const views = Uint8Array.from({ length: 8 * 18 * 21 * 3 }, (_, i) => (Math.imul(i, 2654435761) >>> 11) & 255);

  it.each([
    // (Where channels are no multiple of 16, graphs get BatchNorm with its ReLU as one kernel of oneDNN's: docs/decisions/0004.)
    ['TensorFlow’s kernels first, ours behind', 8, 'cifar', 18],
    ['our own', 32, 'cifar', 18],
    ['the STL stem', 16, 'stl', 96],
  ] as const)('is the eager one bit for bit, step after step, with %s', (_, width, form, side) => {
    const network = createArchitecture({ width, form });
    const definition = trainingProgram(
      { ...options, architecture: network, parameters: {}, imageSize: { height: side, width: side } },
      runtime,
    );
    const parameters = initialParameters(network, 3);
    const momentum = initialMomentum(network);
    const state: Record<string, Float32Array> = {};
    for (const { name, shape, kind, trainable } of modelSpecification(network)) {
      if (kind === 'batch-count') continue;
      state[name] = toTensorFlowLayout(parameters[name] as Float32Array, shape, kind);
      if (trainable) state[`momentum/${name}`] = toTensorFlowLayout(momentum[name] as Float32Array, shape, kind);
    }
    const batch = (salt: number): Uint8Array =>
      Uint8Array.from({ length: 8 * side * side * 3 }, (_pixel, i) => (Math.imul(i + salt, 2654435761) >>> 11) & 255);
    const calls = [0, 1, 2].map((salt) => ({ views: batch(salt), rate: Float32Array.of(0.1) }));
    expectSameBits(runtime, definition, 'step', state, calls);
  });

  it('is made of operations with the portable ones’ values and gradients', () => {
    const native = createNativeOperations(runtime);
    const x = tf.randomNormal([3, 7, 8, 4], 0, 1, 'float32', 5) as tf.Tensor4D;
    const kernel = tf.randomNormal([3, 3, 4, 6], 0, 1, 'float32', 6) as tf.Tensor4D;
    const norm = {
      scale: tf.tensor1d([1, 2, 0.5, 1, 1.5, 0.1]),
      offset: tf.tensor1d([0, 1, -1, 0.5, 0, 2]),
      runningMean: tf.zeros([6]) as tf.Tensor1D,
      runningVariance: tf.ones([6]) as tf.Tensor1D,
    };
    for (const stride of [1, 2]) {
      const [own, portable] = [native, portableOperations].map((operations) => {
        const loss = (input: tf.Tensor, weights: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor): tf.Scalar => {
          const layer = { ...norm, scale: scale as tf.Tensor1D, offset: offset as tf.Tensor1D };
          const y = operations.batchNormRelu(
            operations.convolution(input as tf.Tensor4D, weights as tf.Tensor4D, stride, 1),
            layer,
            true,
          ).output;
          const end = operations.batchNormAddRelu(y, layer, tf.mul(y, -0.5) as tf.Tensor4D, true);
          const rows = operations.normaliseRows(operations.averagePool(end.output));
          return tf.sum(tf.mul(rows, tf.range(0, 6, 1, 'float32')));
        };
        const { value, grads } = tf.valueAndGrads(loss)([x, kernel, norm.scale, norm.offset]);
        return [value, ...grads].map((tensor) => tensor.dataSync());
      });
      own?.forEach((values, index) => expect(largestDifference(values, portable?.[index] ?? [])).toBeLessThan(2e-4));
    }
  });

  it('has PyTorch’s momentum, weight decay and nesterov', () => {
    // At rate 0 nothing moves, so each step has the same gradient g: buffers are g + wd·p, then 1.9 times that.
    const after = (optimizer: SgdOptions, rates: readonly number[]): TrainerState => {
      const trainer = createTrainer({ ...options, optimizer });
      for (const rate of rates) trainer.step(views, rate);
      const state = trainer.state();
      trainer.dispose();
      return state;
    };
    const plain = after({ momentum: 0.9 }, [0]);
    const decayed = after({ momentum: 0.9, weightDecay: 0.5 }, [0]);
    const twice = after({ momentum: 0.9, weightDecay: 0.5 }, [0, 0]);
    const nesterov = after({ momentum: 0.9, weightDecay: 0.5, nesterov: true }, [0.1]);
    for (const [name, gradient] of Object.entries(plain.momentum)) {
      const parameter = options.parameters[name] ?? new Float32Array(0);
      const scale = gradient.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-2);
      const first = gradient.map((value, index) => value + 0.5 * (parameter[index] ?? 0));
      expect(largestDifference(decayed.momentum[name] ?? [], first) / scale, name).toBeLessThan(1e-4);
      const second = first.map((value) => 1.9 * value);
      expect(largestDifference(twice.momentum[name] ?? [], second) / scale, name).toBeLessThan(1e-3);
      const moved = parameter.map((value, index) => value - 0.1 * 1.9 * (first[index] ?? 0));
      expect(largestDifference(nesterov.parameters[name] ?? [], moved) / scale, name).toBeLessThan(1e-3);
      expect(twice.parameters[name], name).toEqual(parameter);
    }
    expect(twice.parameters['backbone.bn1.num_batches_tracked']).toEqual(Float32Array.of(2));
  });

  it('grows no tensors', () => {
    const trainer = createTrainer(options);
    trainer.step(views, 0.1);
    trainer.evaluate(views, 8);
    const before = [tf.memory().numTensors, runtime.backend.binding.getNumOfTensors()];
    for (let step = 0; step < 10; step++) {
      trainer.step(views, 0.1);
      trainer.evaluate(views.subarray(0, 3 * 18 * 21 * 3), 3);
      trainer.state();
    }
    expect([tf.memory().numTensors, runtime.backend.binding.getNumOfTensors()]).toEqual(before);
    trainer.dispose();
  });

  it('refuses wrong batches and options', () => {
    const trainer = createTrainer(options);
    const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
    expect(() => trainer.step(views.subarray(1), 0.1)).toThrow(refused);
    expect(() => trainer.step(views, Number.NaN)).toThrow(refused);
    expect(() => trainer.evaluate(views, 9)).toThrow(refused);
    trainer.dispose();
    expect(() => createTrainer({ ...options, batchSize: 1 })).toThrow(refused);
    expect(() => createTrainer({ ...options, temperature: 0 })).toThrow(refused);
    expect(() => createTrainer({ ...options, parameters: {} })).toThrow(refused);
    expect(() => createTrainer({ ...options, optimizer: { momentum: 1 } })).toThrow(refused);
  });
});

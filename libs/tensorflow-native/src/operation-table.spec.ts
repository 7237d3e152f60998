// One row an operation: the same bits in a compiled graph as when it is run alone, and no operation without a row. What
// TensorFlow's optimizer makes of operations that stand together is compared over whole functions (`compile.spec.ts`).
import { createArchitecture, initialParameters } from '@kindred/simclr';
import { describe, expect, it } from 'vitest';
import { compile } from './compile.js';
import { encoderProgram } from './encoder.js';
import { frozenEncoderProgram } from './frozen-encoder.js';
import { lowTypes } from './mixed-precision.js';
import { attribute, attributeTypes, dataTypes } from './native.js';
import { nearestProgram } from './neighbour-search.js';
import { programGraph } from './program-graph.js';
import { loadTensorFlow } from './runtime.js';
import { cpuRows, gpuRows, ownRows, plumbing, rows } from './spec/operation-table.js';
import { signatureOf } from './spec/table-rows.js';
import { runEagerly } from './trace.js';
import { trainingProgram } from './training-program.js';
import type { Architecture, OptimizerOptions } from '@kindred/simclr';
import type * as tf from '@tensorflow/tfjs-core';
import type { Precision } from './mixed-precision.js';
import type { OpAttribute } from './native.js';
import type { ProgramDefinition } from './program-definition.js';
import type { OperationRow, RowInput } from './spec/table-rows.js';
import type { TrainerOptions } from './trainer.js';

const runtime = loadTensorFlow();
const { backend } = runtime;
const ofDevice = runtime.device === 'gpu' ? gpuRows : cpuRows;
const all = [...rows, ...ofDevice, ...(runtime.winograd === null ? [] : ownRows)];

describe('each operation in a graph gives the bits that it gives alone', () => {
  it.each(all.map((row) => [signatureOf(row.op, row.attributes), row] as const))('%s', (_, row) => {
    row.cases.forEach((inputs, index) => expectSameBits(row, inputs, 'float32', `case ${index}`));
  });

  const low = all.filter(({ typed }) => typed.length > 0);
  it.each(low.map((row) => [signatureOf(row.op, row.attributes), row] as const))('in 16 bits: %s', (_, row) => {
    for (const precision of ['bfloat16', 'float16'] as const) {
      row.cases.forEach((inputs, index) => expectSameBits(row, inputs, precision, `${precision}, case ${index}`));
    }
  });
});

describe('the optimizer’s operation', () => {
  it.each([false, true])(
    'moves variables in a graph to the bits that it moves them to alone, nesterov %s',
    (nesterov) => {
      const shape = [37, 11];
      const values = (salt: number): Float32Array =>
        Float32Array.from({ length: 37 * 11 }, (_, i) => Math.fround(Math.sin(i * 12.9898 + salt)));
      const [weights, buffer, gradient, rate, momentum] = [values(1), values(2), values(3), 0.03, 0.9];
      const program = compile(runtime, {
        state: { weights: shape, buffer: shape },
        functions: {
          update: {
            inputs: { gradient: { dtype: 'float32', shape }, rate: { dtype: 'float32', shape: [] } },
            call: (_, inputs) => ({
              outputs: { rate: inputs['rate'] as tf.Tensor },
              momentumUpdates: [
                {
                  variable: 'weights',
                  buffer: 'buffer',
                  gradient: inputs['gradient'] as tf.Tensor,
                  rate: inputs['rate'] as tf.Scalar,
                  momentum,
                  nesterov,
                },
              ],
            }),
          },
        },
      });
      program.setState({ weights, buffer });
      program.functions['update']?.({ gradient, rate: Float32Array.of(rate) });
      const after = program.getState();
      program.dispose();
      const alone = momentumAlone(shape, [weights, buffer, gradient], rate, momentum, nesterov);
      expect(after['weights']).toEqual(alone.weights);
      expect(after['buffer']).toEqual(alone.buffer);
      expect(alone.weights).not.toEqual(weights);
    },
  );
});

describe('the table', () => {
  it('has a row for each operation of each function that this project compiles', { timeout: 120_000 }, () => {
    const used = new Set(compiledPrograms().flatMap((program) => signaturesOf(program)));
    const known = new Set([...all.map(({ op, attributes }) => signatureOf(op, attributes)), ...plumbing]);
    expect([...used].filter((signature) => !known.has(signature))).toEqual([]);
    // Nor a row for what none of them has.
    expect([...known].filter((signature) => !used.has(signature))).toEqual([]);
  });
});

/** Every program of this library, at settings that reach all of its branches. */
function compiledPrograms(): ProgramDefinition[] {
  const normalisation = { mean: [0.5, 0.4, 0.3], std: [0.2, 0.25, 0.3] };
  const momentum = { momentum: 0.9, weightDecay: 1e-4 };
  const training = (
    architecture: Partial<Architecture>,
    optimizer: OptimizerOptions,
    more: Partial<TrainerOptions> = {},
  ): ProgramDefinition => {
    const side = architecture.form === 'stl' ? 96 : 16;
    const imageSize = { height: side, width: side };
    const common = { parameters: {}, temperature: 0.1, normalisation, batchSize: 4, imageSize };
    return trainingProgram(
      { architecture: createArchitecture({ featureDim: 16, ...architecture }), optimizer, ...common, ...more },
      runtime,
    );
  };
  const frozen = (architecture: Architecture): ProgramDefinition => {
    const parameters = initialParameters(architecture, 1);
    const side = architecture.form === 'stl' ? 96 : 32;
    return frozenEncoderProgram({ architecture, parameters, normalisation, side, batchSizes: [1] }, runtime);
  };
  const lars = { kind: 'lars', ...momentum } as const;
  return [
    training({ width: 4 }, { ...momentum, nesterov: true }),
    training({ width: 16, form: 'stl' }, lars),
    training({ width: 32, head: 'linear' }, { momentum: 0.9 }, { prefetch: true }),
    training({ width: 32, form: 'stl' }, momentum, { accumulateSteps: 2 }),
    training({ width: 8 }, lars, { accumulateSteps: 2 }),
    ...(['bfloat16', 'float16'] as const).flatMap((precision) => [
      training({ width: 4, form: 'stl' }, momentum, { precision }),
      training({ width: 8 }, lars, { precision, accumulateSteps: 2 }),
    ]),
    ...(['cifar', 'stl', 'imagenet'] as const).map((form) =>
      encoderProgram(createArchitecture({ width: 32, form }), normalisation, runtime),
    ),
    training({ width: 16, form: 'imagenet' }, momentum),
    ...(['cifar', 'stl', 'imagenet'] as const).map((form) => frozen(createArchitecture({ width: 32, form }))),
    nearestProgram(runtime, 40, 16, 5),
  ];
}

/** What operations a program's graph holds; those in 16 bits as their float32 rows, whose bits are compared in 16, too. */
function signaturesOf(program: ProgramDefinition): string[] {
  const low: readonly unknown[] = Object.values(lowTypes);
  return programGraph(runtime, program).nodes.flatMap(({ op, attributes }) => {
    const casts = op === 'Cast' && attributes.some(({ value }) => low.includes(value));
    // The casts between float32 and 16 bits are what every comparison in 16 bits begins and ends with.
    if (casts) return [];
    const computesLow = attributes.some(({ name, value }) => name === 'T' && low.includes(value));
    const asFloat = attributes.map((entry) =>
      entry.name === 'T' && low.includes(entry.value) ? { ...entry, value: dataTypes.float32 } : entry,
    );
    const signature = signatureOf(op, asFloat);
    const hasLowRow = all.some((row) => row.typed.length > 0 && signatureOf(row.op, row.attributes) === signature);
    return [computesLow && !hasLowRow ? `${signature}, in 16 bits` : signature];
  });
}

/** One `ResourceApplyMomentum` on variables of its own, operation by operation. */
function momentumAlone(
  shape: readonly number[],
  values: readonly [Float32Array, Float32Array, Float32Array],
  rate: number,
  momentum: number,
  nesterov: boolean,
): { weights: Float32Array; buffer: Float32Array } {
  const { binding } = backend;
  const dtype = attribute.type('dtype', 'float32');
  const tensor = (of: readonly number[], data: Float32Array): number =>
    binding.createTensor(of, dataTypes.float32, data);
  const [weights = -1, buffer = -1] = ['weights', 'buffer'].map((name, index) => {
    const form = { name: 'shape', type: attributeTypes.shape, value: shape };
    const attributes = [attribute.string('shared_name', `alone/${name}/${nesterov}`), dtype, form];
    const handle = binding.executeOp('VarHandleOp', attributes, [], 1)[0]?.id ?? -1;
    binding.executeOp('AssignVariableOp', [dtype], [handle, tensor(shape, values[index] as Float32Array)], 0);
    return handle;
  });
  binding.executeOp(
    'ResourceApplyMomentum',
    [attribute.type('T', 'float32'), attribute.bool('use_nesterov', nesterov), attribute.bool('use_locking', false)],
    [
      weights,
      buffer,
      tensor([], Float32Array.of(rate)),
      tensor(shape, values[2]),
      tensor([], Float32Array.of(momentum)),
    ],
    0,
  );
  const read = (handle: number): Float32Array => {
    const id = binding.executeOp('ReadVariableOp', [dtype], [handle], 1)[0]?.id ?? -1;
    return binding.tensorDataSync(id) as Float32Array;
  };
  return { weights: read(weights), buffer: read(buffer) };
}

function expectSameBits(row: OperationRow, inputs: readonly RowInput[], precision: Precision, what: string): void {
  const definition = alone(row, inputs, precision);
  const fed = Object.fromEntries(inputs.map(({ values }, index) => [`x${index}`, values]));
  const program = compile(runtime, definition);
  const compiled = program.functions['run']?.(fed) ?? {};
  program.dispose();
  const eager = Object.entries(runEagerly(runtime, definition, 'run', {}, fed).outputs);
  expect(eager.length).toBe(row.read);
  for (const [name, tensor] of eager) {
    const expected = tensor.dataSync();
    const wrong = expected.findIndex((value, index) => !Object.is(value, compiled[name]?.values[index]));
    expect(compiled[name]?.values.length).toBe(expected.length);
    expect(wrong, `${what}, ${name}: first value that differs`).toBe(-1);
    tensor.dispose();
  }
}

/** A program of the one operation, with casts around it where it computes in 16 bits. */
function alone(row: OperationRow, inputs: readonly RowInput[], precision: Precision): ProgramDefinition {
  const type = precision === 'float32' ? dataTypes.float32 : lowTypes[precision];
  return {
    state: {},
    functions: {
      run: {
        inputs: Object.fromEntries(
          inputs.flatMap(({ dtype, shape, constant }, index) => (constant ? [] : [[`x${index}`, { dtype, shape }]])),
        ),
        call: (_, fed) => {
          const { binding } = backend;
          const ids = inputs.map(({ dtype, shape, values, constant }, index) => {
            const tensor = fed[`x${index}`];
            const id =
              constant || tensor === undefined
                ? binding.createTensor(shape, dataTypes[dtype], values)
                : (backend.getInputTensorIds([tensor])[0] ?? -1);
            return row.typed.includes(index) ? cast(id, dataTypes.float32, type) : id;
          });
          const attributes = row.attributes.map((entry) =>
            entry.name === 'T' && precision !== 'float32' ? { ...entry, value: type } : entry,
          );
          const results = binding.executeOp(row.op, attributes, ids, row.outputs).slice(0, row.read);
          const outputs = results.map(({ id, shape, dtype }, index): [string, tf.Tensor] => {
            const [from, to] = dtype === dataTypes.int32 ? [dtype, dtype] : [dtype, dataTypes.float32];
            return [`y${index}`, backend.createOutputTensor({ id: cast(id, from, to), shape, dtype: to })];
          });
          return { outputs: Object.fromEntries(outputs) };
        },
      },
    },
  };
}

function cast(id: number, from: number, to: number): number {
  if (from === to) return id;
  const type = (name: string, value: number): OpAttribute => ({ name, type: attributeTypes.type, value });
  const attributes = [type('SrcT', from), type('DstT', to), attribute.bool('Truncate', false)];
  return backend.binding.executeOp('Cast', attributes, [id], 1)[0]?.id ?? -1;
}

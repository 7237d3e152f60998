// Each shape that a rule works out, against the shape that TensorFlow's own run of the operation has.
import { createArchitecture, initialParameters, toTensorFlowLayout, modelSpecification } from '@kindred/simclr';
import { describe, expect, it } from 'vitest';
import { withFunctions } from './recorder.js';
import { loadTensorFlow } from './runtime.js';
import { outputForms } from './shape-rules.js';
import { emptyArray, sizeOf } from './tensor-values.js';
import { runEagerly } from './trace.js';
import { trainingProgram } from './training-program.js';
import type { NativeBinding, TensorValues } from './native.js';
import type { TensorForm } from './shape-rules.js';
import type { TrainerOptions } from './trainer.js';

const runtime = loadTensorFlow();
const { backend } = runtime;

// Outputs that are the kernels' own affair: TensorFlow's CPU kernels give them other sizes than cuDNN.
const unread: Readonly<Record<string, number>> = { FusedBatchNormV3: 5, FusedBatchNormGradV3: 3 };

describe.each([
  ['cifar', 32, 18, 1],
  ['cifar', 8, 9, 2],
  ['stl', 32, 96, 1],
] as const)('the training step in the %s form, width %i, images of %i, %i part(s)', (form, width, side, parts) => {
  it('has the shapes that the rules say', { timeout: 60_000 }, () => {
    const architecture = createArchitecture({ form, width });
    const options: TrainerOptions = {
      architecture,
      parameters: initialParameters(architecture, 1),
      optimizer: { kind: 'lars', momentum: 0.9, weightDecay: 1e-4 },
      temperature: 0.1,
      normalisation: { mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2] },
      batchSize: 2 * parts,
      accumulateSteps: parts,
      imageSize: { height: side, width: side },
    };
    const definition = trainingProgram(options, runtime);
    const state: Record<string, Float32Array> = Object.fromEntries(
      Object.entries(definition.state).map(([name, shape]) => [name, new Float32Array(sizeOf(shape))]),
    );
    for (const { name, shape, kind } of modelSpecification(architecture)) {
      if (kind === 'batch-count') continue;
      state[name] = toTensorFlowLayout(options.parameters[name] as Float32Array, shape, kind);
    }
    const compared = new Set<string>();
    for (const [name, { inputs }] of Object.entries(definition.functions)) {
      const values = Object.entries(inputs).map(([key, { dtype, shape }]) => {
        return [key, emptyArray(dtype, sizeOf(shape.map((size) => (size === -1 ? 3 : size))))] as const;
      });
      if (name === 'embed') continue; // its free dimension cannot be run eagerly as it is
      compareEach(compared, () => runEagerly(runtime, definition, name, state, Object.fromEntries(values)));
    }
    // Without these the comparison would be of nothing.
    for (const op of ['Conv2D', 'Conv2DBackpropFilter', 'FusedBatchNormGradV3', 'Pad', 'Slice', 'BroadcastTo', 'Mul']) {
      expect(compared, op).toContain(op);
    }
    if (width === 32 && runtime.winograd !== null) expect(compared).toContain('KindredConvolutionFilterGradient');
  });
});

/** Runs `action` with each operation's real output compared to its rule's. */
function compareEach(compared: Set<string>, action: () => unknown): void {
  const { binding } = backend;
  const forms = new Map<number, TensorForm>();
  const constants = new Map<number, TensorValues>();
  const executeOp: NativeBinding['executeOp'] = (name, attributes, inputs, outputs) => {
    const results = binding.executeOp(name, attributes, inputs, outputs);
    const constant = (index: number): number[] | null => {
      const values = constants.get(inputs[index] ?? -1);
      return values === undefined ? null : Array.from(values as ArrayLike<number>);
    };
    const given = inputs.map((id) => forms.get(id) as TensorForm);
    const expected = outputForms(name, { attributes, inputs: given, constant });
    const read = results.map(({ shape, dtype }) => ({ shape, dtype })).slice(0, unread[name]);
    if (expected !== null) {
      compared.add(name);
      expect(expected.map(({ shape, dtype }) => ({ shape, dtype })).slice(0, unread[name]), name).toEqual(read);
    }
    results.forEach(({ id, shape, dtype }) => forms.set(id, { shape, dtype }));
    return results;
  };
  const createTensor: NativeBinding['createTensor'] = (shape, dtype, values) => {
    const id = binding.createTensor(shape, dtype, values);
    forms.set(id, { shape: [...shape], dtype });
    constants.set(id, values);
    return id;
  };
  backend.binding = withFunctions(binding, { executeOp, createTensor });
  try {
    action();
  } finally {
    backend.binding = binding;
  }
}

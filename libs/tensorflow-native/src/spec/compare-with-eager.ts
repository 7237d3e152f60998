// Runs a step compiled and operation by operation from the same state, several times on, and compares every bit.
import { expect } from 'vitest';
import { compile } from '../compile.js';
import { runEagerly } from '../trace.js';
import { momentumPrefix } from '../training-program.js';
import type { ProgramDefinition } from '../program-definition.js';
import type { TensorFlowRuntime } from '../runtime.js';

/** Inputs of one call. */
export type StepInputs = Readonly<Record<string, Float32Array | Int32Array | Uint8Array>>;

/** Expects outputs, updates and momentum buffers of function `name` to be the same bits, for each of `calls` in turn. */
export function expectSameBits(
  runtime: TensorFlowRuntime,
  definition: ProgramDefinition,
  name: string,
  first: Readonly<Record<string, Float32Array>>,
  calls: readonly StepInputs[],
): void {
  const program = compile(runtime, definition);
  program.setState(first);
  let compared = 0;
  calls.forEach((inputs, call) => {
    // From empty momentum buffers, so that the buffer after the step is the gradient itself: the optimizer's operation has no eager form.
    const before = program.getState();
    for (const [key, values] of Object.entries(before)) if (key.startsWith(momentumPrefix)) values.fill(0);
    program.setState(before);
    const outputs = program.functions[name]?.(inputs) ?? {};
    const after = program.getState();
    const eager = runEagerly(runtime, definition, name, before, inputs);
    const same = (got: ArrayLike<number> | undefined, expected: ArrayLike<number>, what: string): void => {
      const wrong = Array.from(expected).findIndex((value, index) => !Object.is(value, got?.[index]));
      expect(wrong, `call ${call}, ${what}: first value that differs`).toBe(-1);
      compared++;
    };
    for (const [key, tensor] of Object.entries(eager.outputs)) same(outputs[key]?.values, tensor.dataSync(), key);
    for (const [key, tensor] of Object.entries(eager.updates ?? {})) same(after[key], tensor.dataSync(), key);
    for (const { buffer, gradient } of eager.momentumUpdates ?? []) {
      // 0.9·0 + g: a gradient of -0 becomes +0.
      same(
        after[buffer],
        gradient.dataSync().map((value) => value + 0),
        buffer,
      );
    }
  });
  program.dispose();
  expect(compared).toBeGreaterThan(0);
}

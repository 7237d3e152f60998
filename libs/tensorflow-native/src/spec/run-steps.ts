// A process of its own for the determinism spec: some training steps from a state file (or from seed 1) into a state file.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createArchitecture, initialMomentum, initialParameters } from '@kindred/simclr';
import type { StateDict } from '@kindred/simclr';
import { createTrainer } from '../trainer.js';

const [width = '8', first = '0', last = '0', input = '', output = ''] = process.argv.slice(2);
const architecture = createArchitecture({ width: Number(width) });
const batchSize = 8;
const side = 32;

const empty = { parameters: initialParameters(architecture, 1), momentum: initialMomentum(architecture) };
const { parameters, momentum } = existsSync(input) ? unpack(readFileSync(input)) : empty;
const trainer = createTrainer({
  architecture,
  parameters,
  momentum,
  optimizer: { momentum: 0.9, weightDecay: 1e-4 },
  temperature: 0.1,
  normalisation: { mean: [0.49, 0.48, 0.45], std: [0.2, 0.2, 0.2] },
  batchSize,
  imageSize: { height: side, width: side },
  tensorFlow: { intraOpThreads: 2 },
});
for (let step = Number(first); step < Number(last); step++) {
  const views = Uint8Array.from(
    { length: 2 * batchSize * side * side * 3 },
    (_, i) => (Math.imul(i + 7919 * (step + 1), 2654435761) >>> 13) & 255,
  );
  trainer.step(views, 0.05);
  // An evaluation between steps must leave no trace.
  if (step % 3 === 0) trainer.evaluate(views.subarray(0, 5 * side * side * 3), 5);
}
writeFileSync(output, pack(trainer.state()));
trainer.dispose();

function pack(state: { parameters: StateDict; momentum: StateDict }): Buffer {
  return Buffer.concat(
    [...Object.values(state.parameters), ...Object.values(state.momentum)].map((values) => Buffer.from(values.buffer)),
  );
}

function unpack(bytes: Buffer): { parameters: StateDict; momentum: StateDict } {
  let offset = 0;
  const take = (shape: StateDict): StateDict =>
    Object.fromEntries(
      Object.entries(shape).map(([name, { length }]) => {
        const values = new Float32Array(length);
        for (let i = 0; i < length; i++, offset += 4) values[i] = bytes.readFloatLE(offset);
        return [name, values];
      }),
    );
  return { parameters: take(empty.parameters), momentum: take(empty.momentum) };
}

// The compiled network of the suite `embedding` in a bare loop: what a service cannot be faster than.
import { createFrozenEncoder } from '@kindred/tensorflow-native';
import { benchModel } from './embedding-model.js';
import { serveRounds } from './own-process.js';

serveRounds<{ readonly batch: number; readonly threads: number }>(async ({ batch, threads }) => {
  const { cropSize: side, ...model } = benchModel('cifar');
  const encoder = createFrozenEncoder({ ...model, side, batchSizes: [batch], tensorFlow: { intraOpThreads: threads } });
  const images = Uint8Array.from(
    { length: batch * side * side * 3 },
    (_, i) => (Math.imul(i, 2654435761) >>> 12) & 255,
  );
  return {
    versions: {},
    round(steps) {
      for (let step = 0; step < steps; step++) encoder.embed(images, batch, batch);
      return steps * batch;
    },
  };
});

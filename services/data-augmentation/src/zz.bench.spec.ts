import { it } from 'vitest';
import { epochRequest, startAugmentation } from './spec/start-augmentation.js';
it('bench', async () => {
  const s = await startAugmentation({ threads: 2 });
  const dataset = { name: 'drawn', split: 1, root: '', drawnSize: 10000, drawnSeed: 2n };
  await s.client.getDataset({ dataset });
  for (const t of ['simclr','simclr','eval','eval'] ) {
    const transformation = t === 'simclr' ? epochRequest().transformation : { kind: { $case: 'evaluation', value: { cropSize: 64 } } } as const;
    const b = performance.now(); let n = 0;
    for await (const x of s.client.streamBatches(epochRequest({ dataset, transformation, batchSize: 128 }))) n += x.batch >= 0 ? 1 : 0;
    console.log(t, n, 'batches', (performance.now() - b).toFixed(0), 'ms', ((performance.now() - b) / n).toFixed(2), 'ms/batch');
  }
  await s.close();
});

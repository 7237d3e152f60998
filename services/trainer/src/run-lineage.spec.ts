import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFolderStore } from '@kindred/artifact-store';
import { readExperiment } from '@kindred/experiment';
import { createModelRegistry, readManifest } from '@kindred/lineage';
import { temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { beginning } from './progress.js';
import { newRecord } from './run-entry.js';
import { createRunLineage, recordModel } from './run-lineage.js';
import type { RunEventBody, RunSpecification } from './run.js';

const text = readFileSync(join(import.meta.dirname, '../../../configs/pretext/simclr_cifar10.yml'), 'utf8');
const specification = (runId: string): RunSpecification => ({
  runId,
  experiment: readExperiment({ text }),
  dataRoot: '/data',
  seed: '18446744073709551615',
  createTime: '2026-01-01T00:00:00.000Z',
});
const file = { key: 'runs/r1/model.safetensors', sha256: 'ab'.repeat(32), size: 3 };
const datasets = [{ id: 'cifar-10/train', sha256: 'cd'.repeat(32) }];
const origin = (runId: string) => ({ specification: specification(runId), progress: beginning, datasets });

describe('run lineage', () => {
  it('gives the model of a run that is killed and finishes again one version, and another run the next', async () => {
    const store = await createFolderStore(join(temporaryFolder(), 'store'));
    await recordModel(store, file, origin('r1'));
    await recordModel(store, file, origin('r1'));
    await recordModel(store, { ...file, key: 'runs/r2/model.safetensors' }, origin('r2'));
    const { versions, aliases } = await createModelRegistry(store).get('simclr-cifar-10');
    expect(versions.map(({ version, source }) => [version, source.id])).toEqual([[1, 'r1'], [2, 'r2']]); // prettier-ignore
    expect(aliases).toEqual({ latest: 2 });
    expect(await readManifest(store, 'model', 'r1')).toMatchObject({
      seed: '18446744073709551615',
      inputs: [{ kind: 'dataset', ...datasets[0] }],
      files: [file],
      config: { data_root: '/data' },
    });
  });

  it('tells of a failed run without a model what is known', async () => {
    const store = await createFolderStore(join(temporaryFolder(), 'store'));
    const { sha256 } = await store.put('runs/r1/checkpoints/1.safetensors', Buffer.from('state'));
    const commits = ['1', '0'].map((step) => ({
      checkpoint: {
        epochsCompleted: 0,
        stepsCompleted: Number(step),
        key: `runs/r1/checkpoints/${step}.safetensors`,
        sha256,
        knnTop1: null,
        best: false,
      },
      elapsed: { seconds: 0, waitedSeconds: 0 },
    }));
    const bodies: RunEventBody[] = [
      { kind: 'knn', epochsTrained: 0, top1: 10, seconds: 1 },
      { kind: 'knn', epochsTrained: 1, top1: 30, seconds: 1 },
      { kind: 'knn', epochsTrained: 2, top1: 25, seconds: 1 },
    ];
    const events = bodies.map((body, number) => ({ number, time: '2026-01-01T00:00:00.000Z', body }));
    const record = { ...newRecord(specification('r1')), state: 'failed' as const, attempts: 2 };
    await createRunLineage(store).writeRun(record, commits, events);
    expect(await readManifest(store, 'run', 'r1')).toMatchObject({
      inputs: [{ kind: 'dataset', id: 'cifar-10', sha256: null }],
      metrics: { untrained_knn_top1_percent: 10, knn_top1_percent: 25, attempts: 2, succeeded: 0 },
      files: [{ key: 'runs/r1/checkpoints/1.safetensors', sha256, size: 5 }],
    });
  });
});

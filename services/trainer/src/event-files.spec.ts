// The files against the bytes that they are made of, and through the folder store as the trainer replaces them.
import { join } from 'node:path';
import { createFolderStore } from '@kindred/artifact-store';
import { readExperiment } from '@kindred/experiment';
import { decodeEventFile } from '@kindred/formats';
import { temporaryFolder } from '@kindred/testing';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createEventFiles, scalarsOf } from './event-files.js';
import type { RunEvent, RunEventBody, RunSpecification } from './run.js';

const experiment = readFileSync(join(import.meta.dirname, '../../../configs/pretext/simclr_cifar10.yml'), 'utf8');
const begin = Date.parse('2026-01-01T00:00:00Z');

describe('event files', () => {
  const folder = temporaryFolder();
  const history = [
    started(20),
    knn(0, 10),
    step(0, 9, 5.5),
    step(0, 19, 5),
    epoch(0, 5.25),
    knn(1, 30),
    step(1, 9, 4),
    epoch(1, 4),
    knn(2, 40),
  ].map((body, number): RunEvent => ({ number, time: new Date(begin + number * 1000).toISOString(), body }));

  it('put training over steps of the run and checks over epochs trained', () => {
    const curve = (tag: string) =>
      scalarsOf(history)
        .filter((scalar) => scalar.tag === tag)
        .map(({ step, value, timeMs }) => [step, value, (timeMs - begin) / 1000]);
    expect(curve('train/loss')).toEqual([
      [10, 5.5, 2],
      [20, 5, 3],
      [30, 4, 6],
    ]);
    expect(curve('evaluation/knn_top1')).toEqual([
      [0, 10, 1],
      [1, 30, 5],
      [2, 40, 8],
    ]);
    expect(curve('epoch/mean_loss').map(([step]) => step)).toEqual([1, 2]);
    expect(curve('evaluation/backbone_knn_top1')).toEqual([]);
  });

  it('hold the whole history once, also after a run went on from a checkpoint', async () => {
    const artifacts = await createFolderStore(folder);
    const files = createEventFiles(artifacts);
    const specification = specificationOf('r1', {});
    for (const length of [6, 9, 6, 9]) {
      await files.write(specification, history.slice(0, length));
      const keys = await keysOf(artifacts, 'runs/r1/tensorboard/');
      expect(keys).toEqual([
        `runs/r1/tensorboard/events.out.tfevents.1767225600.kindred.${String(length).padStart(9, '0')}`,
      ]);
      const scalars = decodeEventFile(await artifacts.get(keys[0] ?? ''));
      expect(scalars).toEqual(scalarsOf(history.slice(0, length)));
    }
  });

  it('are not written where nobody wants them', async () => {
    const artifacts = await createFolderStore(folder);
    await createEventFiles(artifacts).write(specificationOf('r2', { 'tensorboard.scalars': 'false' }), history);
    expect(await keysOf(artifacts, 'runs/r2/')).toEqual([]);
  });
});

function specificationOf(runId: string, overrides: Record<string, string>): RunSpecification {
  const createTime = new Date(begin).toISOString();
  return { runId, experiment: readExperiment({ text: experiment, overrides }), dataRoot: '', seed: '1', createTime };
}

async function keysOf(artifacts: Awaited<ReturnType<typeof createFolderStore>>, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of artifacts.list(prefix)) keys.push(key);
  return keys;
}

function started(stepsPerEpoch: number): RunEventBody {
  const sizes = { trainSize: 1, validationSize: 1, epochs: 2, parameterCount: 1, limitSteps: 0 };
  return { kind: 'started', stepsPerEpoch, device: 'cpu', ...sizes };
}

function knn(epochsTrained: number, top1: number): RunEventBody {
  return { kind: 'knn', epochsTrained, top1, seconds: 1 };
}

function step(epochNumber: number, stepNumber: number, loss: number): RunEventBody {
  const measured = { pairsPerSecond: 100, dataWaitFraction: 0, dataWaitSeconds: 0 };
  return { kind: 'step', epoch: epochNumber, step: stepNumber, loss, learningRate: 0.5, ...measured };
}

function epoch(epochNumber: number, meanLoss: number): RunEventBody {
  const measured = { seconds: 1, pairsPerSecond: 100, dataWaitFraction: 0, residentBytes: 1000, tensorCount: 3 };
  return { kind: 'epoch', epoch: epochNumber, meanLoss, ...measured };
}

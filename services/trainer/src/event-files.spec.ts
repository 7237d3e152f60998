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

  it('hold the whole history once, each call adding what is new', async () => {
    const artifacts = await createFolderStore(folder);
    const files = createEventFiles(artifacts);
    const specification = specificationOf('r1', {});
    for (const length of [6, 9, 9]) await files.write(specification, history.slice(0, length));
    const prefix = 'runs/r1/tensorboard/events.out.tfevents.1767225600.kindred.';
    expect(await keysOf(artifacts, 'runs/r1/tensorboard/')).toEqual([
      `${prefix}000000000-000000006-${begin + 5000}`,
      `${prefix}000000006-000000009-${begin + 8000}`,
    ]);
    expect(await scalarsIn(artifacts, 'r1')).toEqual(scalarsOf(history));
  });

  it('hold nothing of what a run has lost that went on from a checkpoint', async () => {
    const artifacts = await createFolderStore(folder);
    const files = createEventFiles(artifacts);
    const specification = specificationOf('r3', {});
    // Cut back to 6 events of the 9, after which others come: at other times, and one of them in the place of another kind.
    const later = history.map((event) => ({ ...event, time: new Date(Date.parse(event.time) + 60_000).toISOString() }));
    const other = [...history.slice(0, 6), ...later.slice(6), { ...(later[8] as RunEvent), number: 9 }];
    for (const events of [history.slice(0, 6), history, history.slice(0, 6), other]) {
      await files.write(specification, events);
      expect(await scalarsIn(artifacts, 'r3')).toEqual(scalarsOf(events));
    }
    // Without the call in between, the times tell.
    await files.write(specification, history);
    expect(await scalarsIn(artifacts, 'r3')).toEqual(scalarsOf(history));
  });

  it('are several for a long history, and written once', async () => {
    const artifacts = await createFolderStore(folder);
    const long = Array.from({ length: 2500 }, (_, number): RunEvent => ({
      ...(history[number] ?? (history[6] as RunEvent)),
      number,
      time: new Date(begin + number).toISOString(),
    }));
    const puts: string[] = [];
    const counting = {
      ...artifacts,
      put: (key: string, content: Uint8Array) => (puts.push(key), artifacts.put(key, content)),
    };
    const files = createEventFiles(counting as typeof artifacts);
    for (const length of [2400, 2400, 2500]) await files.write(specificationOf('r4', {}), long.slice(0, length));
    expect(puts.map((key) => key.slice(-33, -14))).toEqual([
      '000000000-000001000',
      '000001000-000002000',
      '000002000-000002400',
      '000002400-000002500',
    ]);
    expect(await scalarsIn(artifacts, 'r4')).toEqual(scalarsOf(long));
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

/** All scalars of a run's files, in the order of their names. */
async function scalarsIn(artifacts: Awaited<ReturnType<typeof createFolderStore>>, runId: string) {
  const keys = await keysOf(artifacts, `runs/${runId}/tensorboard/`);
  return (await Promise.all(keys.map(async (key) => decodeEventFile(await artifacts.get(key))))).flat();
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

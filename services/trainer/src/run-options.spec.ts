// A run with all that can be asked for beside the reference's training, in real processes, undisturbed and killed.
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { decodeEventFile } from '@kindred/formats';
import { RunState, type RunEvent } from '@kindred/protocol/training';
import type { RunningService } from '@kindred/service-runtime';
import { eventContent, temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFakeAugmentation } from './spec/fake-augmentation.js';
import { experiment, smallRun } from './spec/small-run.js';
import { startTrainerProcess } from './spec/trainer-process.js';

const [epochs, stepsPerEpoch, rate] = [4, 6, 0.6];
const overrides = {
  ...smallRun,
  epochs: String(epochs),
  log_steps: '1',
  optimizer: 'lars',
  optimizer_kwargs: `{ lr: ${rate}, weight_decay: 1e-6 }`,
  'scheduler_kwargs.warmup_epochs': '1',
  'scheduler_kwargs.warmup_start_factor': '0',
  'scheduler_kwargs.per_step': 'true',
  evaluation: '{ linear_probe: true, backbone_knn: true }',
  'tensorboard.projector_images': '10',
};

// Three processes that each load and compile: 15 s on two free cores, many times that where others compute beside them.
const timeoutMs = 600_000;

type Trainer = Awaited<ReturnType<typeof startTrainerProcess>>;

describe('a run with LARS, warm-up, checks of the backbone and TensorBoard files', () => {
  const folder = temporaryFolder();
  const trainers: Trainer[] = [];
  let augmentation: RunningService;
  let calm: RunEvent[] = [];
  beforeAll(async () => {
    augmentation = await startFakeAugmentation();
  });
  afterAll(async () => {
    await Promise.allSettled(trainers.map((trainer) => trainer.kill()));
    await augmentation.close();
  });
  const start = async (name: string): Promise<Trainer> => {
    const trainer = await startTrainerProcess(join(folder, name), augmentation.address);
    trainers.push(trainer);
    return trainer;
  };
  const watch = async ({ client }: Trainer, until: (event: RunEvent) => boolean): Promise<RunEvent[]> => {
    const events: RunEvent[] = [];
    for await (const { content } of client.watchRun({ runId: 'r1' })) {
      if (content?.$case !== 'event') continue;
      events.push(content.value);
      if (until(content.value)) break;
    }
    return events;
  };
  const boardFolder = (name: string): string => join(folder, name, 'runs/r1/tensorboard');
  const eventFiles = (name: string): string[] =>
    readdirSync(boardFolder(name)).filter((file) => file.startsWith('events.out.tfevents.'));
  const curves = (name: string) => {
    const scalars = eventFiles(name)
      .sort()
      .flatMap((file) => decodeEventFile(readFileSync(join(boardFolder(name), file))));
    return (tag: string) => scalars.filter((scalar) => scalar.tag === tag).map(({ step, value }) => ({ step, value }));
  };

  it('moves the rate at each step, checks the backbone after each epoch, and shows it all', async () => {
    const trainer = await start('calm');
    await trainer.client.startRun({ runId: 'r1', experiment, overrides, seed: 7n });
    calm = await watch(trainer, () => false);
    const { run } = await trainer.client.getRun({ runId: 'r1' });
    expect(run?.state).toBe(RunState.SUCCEEDED);

    const rates = calm.flatMap(({ kind }) => (kind?.$case === 'stepCompleted' ? [kind.value.learningRate] : []));
    expect(rates).toHaveLength(epochs * stepsPerEpoch);
    // SimCLR's warm-up: from 0, in equal parts, to the whole rate at the first step after it.
    rates
      .slice(0, stepsPerEpoch + 1)
      .forEach((value, step) => expect(value).toBeCloseTo((rate * step) / stepsPerEpoch, 12));
    expect(rates.slice(stepsPerEpoch).every((value, i, all) => i === 0 || value < (all[i - 1] ?? 0))).toBe(true);

    const probes = calm.flatMap(({ kind }) => (kind?.$case === 'linearProbeEvaluated' ? [kind.value] : []));
    expect(probes.map(({ epochsTrained }) => epochsTrained)).toEqual([0, 1, 2, 3, 4]);
    for (const { top1, trainTop1, converged, iterations } of probes) {
      expect(converged && iterations > 0).toBe(true);
      // The fake's validation images are its training images.
      expect(top1).toBe(trainTop1);
      expect(top1).toBeGreaterThanOrEqual(50);
    }
    expect(run?.linearProbeTop1).toBe(probes.at(-1)?.top1);
    expect(run?.backboneKnnTop1).toBeGreaterThanOrEqual(0);

    // One after each epoch.
    expect(eventFiles('calm')).toHaveLength(epochs);
    const curve = curves('calm');
    expect(curve('train/loss').map(({ step }) => step)).toEqual(rates.map((_, i) => i + 1));
    expect(curve('evaluation/linear_probe_top1').map(({ step }) => step)).toEqual([0, 1, 2, 3, 4]);
    expect(curve('evaluation/backbone_knn_top1')).toHaveLength(5);
    const tensors = readFileSync(join(boardFolder('calm'), 'tensors.tsv'), 'utf8')
      .trimEnd()
      .split('\n');
    expect(tensors.map((row) => row.split('\t').length)).toEqual(Array.from({ length: 10 }, () => 8));
  });

  it('ends with the same history and curves after kill -9', async () => {
    const killed = await start('killed');
    await killed.client.startRun({ runId: 'r1', experiment, overrides, seed: 7n });
    await watch(killed, ({ kind }) => kind?.$case === 'stepCompleted' && kind.value.epoch === 2);
    await killed.kill();
    const history = await watch(await start('killed'), () => false);
    expect(history.map(eventContent)).toEqual(calm.map(eventContent));
    for (const tag of ['train/loss', 'train/learning_rate', 'evaluation/knn_top1', 'evaluation/linear_probe_top1']) {
      expect(curves('killed')(tag)).toEqual(curves('calm')(tag));
    }
  });

  it(
    'ends with bit-identical weights after kill -9 of LARS over batches in parts',
    { timeout: timeoutMs },
    async () => {
      const parts = { ...overrides, evaluation: '{}', epochs: '2', accumulate_steps: '4', checkpoint_steps: '2' };
      const modelOf = (name: string): Buffer => readFileSync(join(folder, name, 'runs/r1/model.safetensors'));
      const undisturbed = await start('parts-calm');
      await undisturbed.client.startRun({ runId: 'r1', experiment, overrides: parts, seed: 7n });
      const expected = await watch(undisturbed, () => false);

      const killed = await start('parts-killed');
      await killed.client.startRun({ runId: 'r1', experiment, overrides: parts, seed: 7n });
      // The run goes on from the checkpoint after two steps, in the middle of the first epoch.
      await watch(killed, ({ kind }) => kind?.$case === 'checkpointWritten' && kind.value.stepsCompleted === 2n);
      await killed.kill();
      const revived = await start('parts-killed');
      const history = await watch(revived, () => false);
      const { run } = await revived.client.getRun({ runId: 'r1' });
      expect(run).toMatchObject({ state: RunState.SUCCEEDED, attempts: 2 });
      expect(history.map(eventContent)).toEqual(expected.map(eventContent));
      expect(modelOf('parts-killed').equals(modelOf('parts-calm'))).toBe(true);
    },
  );

  it('ends with its model where the projector cannot be written, and says so', async () => {
    // A folder in the place of a file.
    mkdirSync(join(boardFolder('unprojected'), 'tensors.tsv/taken'), { recursive: true });
    const trainer = await start('unprojected');
    const short = { ...overrides, limit_steps: '1', evaluation: '{}' };
    await trainer.client.startRun({ runId: 'r1', experiment, overrides: short, seed: 7n });
    await watch(trainer, () => false);
    const { run } = await trainer.client.getRun({ runId: 'r1' });
    expect(run).toMatchObject({ state: RunState.SUCCEEDED, model: 'r1' });
    expect(run?.notices.at(-1)?.message).toContain('projector');
    expect(existsSync(join(folder, 'unprojected/runs/r1/model.safetensors'))).toBe(true);
  });

  it('takes its batches through the network in parts, or in bfloat16', async () => {
    const trainer = await start('parts');
    const short = { ...overrides, limit_steps: '3', evaluation: '{}' };
    const losses = async (runId: string, extra: Record<string, string>): Promise<number[]> => {
      await trainer.client.startRun({ runId, experiment, overrides: { ...short, ...extra }, seed: 7n });
      const found: number[] = [];
      for await (const { content } of trainer.client.watchRun({ runId })) {
        if (content?.$case === 'event' && content.value.kind?.$case === 'stepCompleted') {
          found.push(content.value.kind.value.loss);
        }
      }
      return found;
    };
    const [whole, parts] = [await losses('whole', {}), await losses('parts', { accumulate_steps: '4' })];
    expect(parts).toHaveLength(3);
    // The same first batch and parameters, but BatchNorm has the statistics of two images in place of eight.
    expect(parts[0]).not.toBe(whole[0]);
    // A loss over 8 images with 15 contrasts each is about ln 15 for features that know nothing; over parts of 2 it would be ln 3.
    parts.forEach((loss) => expect(loss).toBeGreaterThan(Math.log(3)));
    const low = await losses('low', { precision: 'bfloat16' });
    expect(low).toHaveLength(3);
    expect(low[0]).not.toBe(whole[0]);
    expect(Math.abs((low[0] ?? NaN) / (whole[0] ?? NaN) - 1)).toBeLessThan(0.1);
    const refused = trainer.client.startRun({ experiment, overrides: { ...overrides, accumulate_steps: '8' } });
    await expect(refused).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'accumulate_steps' }],
    });
  });
});

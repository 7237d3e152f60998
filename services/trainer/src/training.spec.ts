import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RunState, type RunEvent } from '@kindred/protocol/training';
import type { RunningService } from '@kindred/service-runtime';
import { temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFakeAugmentation } from './spec/fake-augmentation.js';
import { startTrainerProcess } from './spec/trainer-process.js';

const experiment = readFileSync(join(import.meta.dirname, '../../../configs/pretext/simclr_cifar10.yml'), 'utf8');
const overrides = {
  epochs: '4',
  batch_size: '8',
  num_classes: '2',
  'model_kwargs.width': '2',
  'model_kwargs.features_dim': '8',
  'optimizer_kwargs.lr': '0.05',
  'augmentation_kwargs.random_resized_crop.size': '8',
  'transformation_kwargs.crop_size': '8',
  log_steps: '2',
};

type Trainer = Awaited<ReturnType<typeof startTrainerProcess>>;

describe('a run in real processes', () => {
  const folder = temporaryFolder();
  let augmentation: RunningService;
  const trainers: Trainer[] = [];
  beforeAll(async () => {
    augmentation = await startFakeAugmentation();
  });
  afterAll(async () => {
    await Promise.allSettled(trainers.map((trainer) => trainer.kill()));
    await augmentation.close();
  });
  const start = async (name: string, environment = {}): Promise<Trainer> => {
    const trainer = await startTrainerProcess(join(folder, name), augmentation.address, environment);
    trainers.push(trainer);
    return trainer;
  };
  const watch = async (trainer: Trainer, until: (event: RunEvent) => boolean): Promise<RunEvent[]> => {
    const events: RunEvent[] = [];
    for await (const { content } of trainer.client.watchRun({ runId: 'r1' })) {
      if (content?.$case !== 'event') continue;
      events.push(content.value);
      if (until(content.value)) break;
    }
    return events;
  };
  const modelHash = (name: string): string =>
    createHash('sha256')
      .update(readFileSync(join(folder, name, 'runs/r1/model.safetensors')))
      .digest('hex');
  /** What of an event is the same in every run of the same content: all but times and speeds. */
  const timeless = ({ number, kind }: RunEvent): unknown => {
    const measured = ['seconds', 'pairsPerSecond', 'dataWaitFraction', 'residentBytes'];
    const value = Object.fromEntries(Object.entries(kind?.value ?? {}).filter(([key]) => !measured.includes(key)));
    return { number, case: kind?.$case, value };
  };

  it('ends with bit-identical weights and history after kill -9 of the trainer in mid-epoch', async () => {
    const calm = await start('calm');
    await calm.client.startRun({ runId: 'r1', experiment, overrides, seed: 7n });
    const history = await watch(calm, () => false);
    const { run } = await calm.client.getRun({ runId: 'r1' });
    expect(run).toMatchObject({ state: RunState.SUCCEEDED, epochsCompleted: 4, attempts: 1, model: 'r1' });
    expect(run?.knnTop1.length).toBe(4);
    expect(run?.untrainedKnnTop1).toBeGreaterThanOrEqual(0);

    const killed = await start('killed');
    await killed.client.startRun({ runId: 'r1', experiment, overrides, seed: 7n });
    await watch(killed, ({ kind }) => kind?.$case === 'stepCompleted' && kind.value.epoch === 2);
    await killed.kill();

    const revived = await start('killed');
    const revivedHistory = await watch(revived, () => false);
    expect((await revived.client.getRun({ runId: 'r1' })).run).toMatchObject({
      state: RunState.SUCCEEDED,
      attempts: 2,
    });
    expect(modelHash('killed')).toBe(modelHash('calm'));
    expect(revivedHistory.map(timeless)).toEqual(history.map(timeless));
  });

  it('answers while it trains, cancels, and resumes to the same end', async () => {
    const trainer = await start('cancelled');
    await trainer.client.startRun({ runId: 'r1', experiment, overrides, seed: 7n });
    await watch(trainer, ({ kind }) => kind?.$case === 'stepCompleted' && kind.value.epoch === 1);
    const asked = performance.now();
    await trainer.client.getRun({ runId: 'r1' });
    expect(performance.now() - asked).toBeLessThan(100);
    await trainer.client.cancelRun({ runId: 'r1' });
    const [last] = (await watch(trainer, () => false)).slice(-1);
    expect(last?.kind).toMatchObject({ $case: 'ended', value: { state: RunState.CANCELLED } });
    await trainer.client.resumeRun({ runId: 'r1' });
    await watch(trainer, () => false);
    expect(modelHash('cancelled')).toBe(modelHash('calm'));
  });

  it('waits for a data-augmentation service that comes back, and says so', async () => {
    const own = await startFakeAugmentation();
    const port = Number(own.address.split(':')[1]);
    const trainer = await startTrainerProcess(join(folder, 'waiting'), own.address);
    trainers.push(trainer);
    await trainer.client.startRun({ runId: 'r1', experiment, overrides, seed: 7n });
    await watch(trainer, ({ kind }) => kind?.$case === 'epochCompleted');
    await own.close();
    const closed = performance.now();
    let notices: string[] = [];
    while (notices.length === 0 && performance.now() - closed < 5_000) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      notices = (await trainer.client.getRun({ runId: 'r1' })).run?.notices.map(({ message }) => message) ?? [];
    }
    expect(notices[0]).toContain('data-augmentation');
    const again = await startFakeAugmentation(port);
    await watch(trainer, () => false);
    await again.close();
    expect(modelHash('waiting')).toBe(modelHash('calm'));
  });

  it('refuses what it cannot train, naming the key', async () => {
    const trainer = await start('refused');
    const refused = (change: Record<string, string>) =>
      trainer.client.startRun({ experiment, overrides: { ...overrides, ...change } });
    await expect(refused({ epochs: '0' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'epochs' }],
    });
    await expect(refused({ 'transformation_kwargs.crop_size': '9' })).rejects.toMatchObject({
      violations: [{ field: 'transformation_kwargs.crop_size' }],
    });
    await expect(trainer.client.startRun({ runId: 'A b', experiment })).rejects.toMatchObject({
      violations: [{ field: 'run_id' }],
    });
    await expect(trainer.client.getRun({ runId: 'none' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFolderStore } from '@kindred/artifact-store';
import { decodeSafetensors } from '@kindred/formats';
import { createModelRegistry, readManifest, verifyStore } from '@kindred/lineage';
import { RunState, StopReason, type RunEvent } from '@kindred/protocol/training';
import type { RunningService } from '@kindred/service-runtime';
import { eventContent, temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fakeContentSha256, startFakeAugmentation } from './spec/fake-augmentation.js';
import { experiment, smallRun } from './spec/small-run.js';
import { startTrainerProcess } from './spec/trainer-process.js';

const overrides = {
  ...smallRun,
  epochs: '4',
  'optimizer_kwargs.lr': '0.05',
  log_steps: '2',
  // Six steps an epoch: checkpoints in the middle of epochs and at their ends.
  checkpoint_steps: '4',
};

type Trainer = Awaited<ReturnType<typeof startTrainerProcess>>;

/** The run says what it was made from, its model is a version in the registry, and every hash holds. */
async function expectLineage(folder: string, modelSha256: string): Promise<void> {
  const store = await createFolderStore(folder);
  const inputs = ['train', 'train-and-unlabeled', 'validation'].map((split) => ({
    kind: 'dataset',
    id: `cifar-10/${split}`,
    sha256: fakeContentSha256,
  }));
  const model = await readManifest(store, 'model', 'r1');
  expect(model).toMatchObject({ seed: '7', inputs, config: { experiment: { epochs: 4, batch_size: 8 } } });
  expect(model?.files).toMatchObject([{ key: 'runs/r1/model.safetensors', sha256: modelSha256 }]);
  const run = await readManifest(store, 'run', 'r1');
  expect(run).toMatchObject({ producer: { program: 'trainer' }, inputs, metrics: { epochs: 4, succeeded: 1 } });
  expect(run?.files.length).toBeGreaterThan(2);
  expect(await createModelRegistry(store).resolve('simclr-cifar-10')).toMatchObject({
    version: 1,
    key: 'runs/r1/model.safetensors',
    sha256: modelSha256,
  });
  expect((await verifyStore(store)).faults).toEqual([]);
}

describe('a run in real processes', () => {
  const folder = temporaryFolder();
  let augmentation: RunningService;
  const trainers: Trainer[] = [];
  let calmHistory: RunEvent[] = [];
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
  it(
    'ends with bit-identical weights and history after kill -9 of the trainer in mid-epoch',
    { timeout: 240_000 },
    async () => {
      const calm = await start('calm');
      await calm.client.startRun({ runId: 'r1', experiment, overrides, seed: 7n });
      const history = await watch(calm, () => false);
      calmHistory = history;
      const { run } = await calm.client.getRun({ runId: 'r1' });
      expect(run).toMatchObject({ state: RunState.SUCCEEDED, epochsCompleted: 4, attempts: 1, model: 'r1' });
      expect(run?.knnTop1.length).toBe(4);
      expect(run?.untrainedKnnTop1).toBeGreaterThanOrEqual(0);
      await expectLineage(join(folder, 'calm'), modelHash('calm'));

      const killed = await start('killed');
      await killed.client.startRun({ runId: 'r1', experiment, overrides, seed: 7n });
      // The checkpoint after 16 steps lies in the middle of the third epoch.
      await watch(killed, ({ kind }) => kind?.$case === 'checkpointWritten' && kind.value.stepsCompleted === 16n);
      await killed.kill();

      const revived = await start('killed');
      const revivedHistory = await watch(revived, () => false);
      expect((await revived.client.getRun({ runId: 'r1' })).run).toMatchObject({
        state: RunState.SUCCEEDED,
        attempts: 2,
      });
      expect(modelHash('killed')).toBe(modelHash('calm'));
      expect(eventContent(revivedHistory)).toEqual(eventContent(history));
    },
  );

  it('stops after limit_steps, with the steps of the whole run up to there', async () => {
    const trainer = await start('limited');
    const change = { checkpoint_steps: '0', limit_steps: '8' };
    await trainer.client.startRun({ runId: 'r1', experiment, overrides: { ...overrides, ...change }, seed: 7n });
    const events = await watch(trainer, () => false);
    const { run } = await trainer.client.getRun({ runId: 'r1' });
    expect(run).toMatchObject({ state: RunState.SUCCEEDED, stepsCompleted: 8n, epochsCompleted: 1, model: 'r1' });
    expect(events.slice(-3).map(({ kind }) => kind)).toMatchObject([
      { $case: 'checkpointWritten', value: { stepsCompleted: 8n, knnTop1: undefined, best: false } },
      { $case: 'stopped', value: { reason: StopReason.LIMIT_STEPS, stepsCompleted: 8n, bestEpochsTrained: 1 } },
      { $case: 'ended', value: { state: RunState.SUCCEEDED } },
    ]);
    const losses = (of: RunEvent[]) =>
      of.flatMap(({ kind }) => (kind?.$case === 'stepCompleted' ? [kind.value.loss] : []));
    expect(losses(events)).toEqual(losses(calmHistory).slice(0, 4));
    expect(existsSync(join(folder, 'limited/runs/r1/reserve'))).toBe(false);
  });

  it('stops early, and a process that is killed after the last check stops for the same reason', async () => {
    // No check can rise by 100 %: the second one is the end.
    const change = { early_stop: '{metric: knn, patience: 1, min_delta: 100}' };
    const request = { runId: 'r1', experiment, overrides: { ...overrides, ...change }, seed: 7n };
    const calm = await start('early');
    await calm.client.startRun(request);
    const history = await watch(calm, () => false);
    expect(history.slice(-2).map(({ kind }) => kind)).toMatchObject([
      { $case: 'stopped', value: { reason: StopReason.EARLY_STOP, stepsCompleted: 12n } },
      { $case: 'ended', value: { state: RunState.SUCCEEDED } },
    ]);
    const killed = await start('early-killed');
    await killed.client.startRun(request);
    await watch(killed, ({ kind }) => kind?.$case === 'checkpointWritten' && kind.value.stepsCompleted === 12n);
    await killed.kill();
    const revived = await start('early-killed');
    expect(eventContent(await watch(revived, () => false))).toEqual(eventContent(history));
    expect(modelHash('early-killed')).toBe(modelHash('early'));
  });

  it('stops when numbers overflow, naming the step and the last good checkpoint, and keeps that', async () => {
    const trainer = await start('overflow');
    // Each step multiplies the weights by 1 - 1000.
    const change = { 'optimizer_kwargs.lr': '1000', 'optimizer_kwargs.weight_decay': '1', checkpoint_steps: '1' };
    await trainer.client.startRun({ runId: 'r1', experiment, overrides: { ...overrides, ...change }, seed: 7n });
    const events = await watch(trainer, () => false);
    const { run } = await trainer.client.getRun({ runId: 'r1' });
    const checkpoints = events.flatMap(({ kind }) => (kind?.$case === 'checkpointWritten' ? [kind.value] : []));
    const last = checkpoints.at(-1);
    expect(run).toMatchObject({
      state: RunState.FAILED,
      failure: { code: 'FAILED_PRECONDITION', checkpoint: last?.key },
    });
    expect(run?.failure?.message).toMatch(
      /not finite after \d+ steps of the run|the loss is (NaN|-?Infinity) in epoch/,
    );
    expect(run?.failure?.message).toContain(last?.key);
    expect(run?.failure?.stepsCompleted).toBeGreaterThanOrEqual(last?.stepsCompleted ?? NaN);
    const { tensors } = decodeSafetensors(readFileSync(join(folder, 'overflow', last?.key ?? '')));
    for (const [name, { data }] of tensors) expect((data as Float32Array).every(Number.isFinite), name).toBe(true);
  });

  it('answers while it trains, cancels, and resumes to the same end', async () => {
    const trainer = await start('cancelled');
    await trainer.client.startRun({ runId: 'r1', experiment, overrides, seed: 7n });
    await watch(trainer, ({ kind }) => kind?.$case === 'stepCompleted' && kind.value.epoch === 1);
    const { run } = await trainer.client.getRun({ runId: 'r1' });
    expect(run?.state).toBe(RunState.RUNNING);
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
    let notices: string[] = [];
    while (notices.length === 0) {
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

import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { RunState, type RunEvent } from '@kindred/protocol/training';
import type { RunningService } from '@kindred/service-runtime';
import { eventContent, fillDisk, smallDisk, temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFakeAugmentation } from './spec/fake-augmentation.js';
import { experiment, smallRun } from './spec/small-run.js';
import { startTrainerProcess } from './spec/trainer-process.js';

const overrides = {
  ...smallRun,
  epochs: '3',
  'optimizer_kwargs.lr': '0.05',
  log_steps: '1',
  checkpoint_steps: '4',
};
const request = { runId: 'r1', experiment, overrides, seed: 7n };

type Trainer = Awaited<ReturnType<typeof startTrainerProcess>>;

describe('a run whose disk fills up', () => {
  const folder = temporaryFolder();
  const disk = smallDisk(join(folder, 'disk'), 8 << 20);
  let augmentation: RunningService;
  const trainers: Trainer[] = [];
  beforeAll(async () => {
    augmentation = await startFakeAugmentation();
  });
  afterAll(async () => {
    await Promise.allSettled(trainers.map((trainer) => trainer.kill()));
    await augmentation.close();
    disk.remove();
  });
  const start = async (store: string): Promise<Trainer> => {
    const trainer = await startTrainerProcess(store, augmentation.address);
    trainers.push(trainer);
    return trainer;
  };
  const watch = async (trainer: Trainer, until: (event: RunEvent) => boolean): Promise<RunEvent[]> => {
    const events: RunEvent[] = [];
    for await (const { content } of trainer.client.watchRun({ runId: 'r1' })) {
      if (content?.$case !== 'event') continue;
      events[Number(content.value.number)] = content.value;
      if (until(content.value)) break;
    }
    return events;
  };
  const hash = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
  const processesOf = ({ pid }: Trainer): number[] => [
    pid,
    ...readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  ];

  it('is paused with its last checkpoint whole, over a restart, and resumes to the same end', async () => {
    const calm = await start(join(folder, 'calm'));
    await calm.client.startRun(request);
    const history = await watch(calm, () => false);
    await calm.kill();

    let trainer = await start(disk.folder);
    await trainer.client.startRun(request);
    await watch(trainer, ({ kind }) => kind?.$case === 'checkpointWritten' && kind.value.stepsCompleted === 8n);
    let filled = fillDisk(disk, processesOf(trainer));
    await watch(trainer, () => false);
    // What was seen after the last checkpoint is history no more.
    const events = await watch(trainer, () => false);
    const { run } = await trainer.client.getRun({ runId: 'r1' });
    expect(run).toMatchObject({ state: RunState.PAUSED, failure: { code: 'RESOURCE_EXHAUSTED' } });
    expect(run?.failure?.message).toContain(disk.folder);
    expect(run?.notices.at(-1)?.message).toContain('paused');

    const checkpoints = events.flatMap(({ kind }) => (kind?.$case === 'checkpointWritten' ? [kind.value] : []));
    const last = checkpoints.at(-1);
    expect(events.at(-1)?.kind?.$case).toBe('checkpointWritten');
    expect(run?.failure?.checkpoint).toBe(last?.key);
    expect(hash(join(disk.folder, last?.key ?? ''))).toBe(last?.sha256);
    expect(eventContent(events)).toEqual(eventContent(history.slice(0, events.length)));
    expect(readdirSync(join(disk.folder, '.unfinished'))).toEqual([]);

    const other = { ...request, runId: 'r2' };
    await expect(trainer.client.startRun(other)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      resource: { type: 'folder', name: disk.folder },
    });
    await expect(trainer.client.getRun({ runId: 'r2' })).rejects.toMatchObject({ code: 'NOT_FOUND' });

    // A disk of its own has run out for `run.json`, too: the pause lies in the space that the run had reserved.
    if (disk.kind === 'mount') {
      await trainer.kill();
      trainer = await start(disk.folder);
      expect((await trainer.client.getRun({ runId: 'r1' })).run?.state).toBe(RunState.PAUSED);
      filled.remove();
      filled = fillDisk(disk);
      await expect(trainer.client.resumeRun({ runId: 'r1' })).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
      expect((await trainer.client.getRun({ runId: 'r1' })).run?.state).toBe(RunState.PAUSED);
    }
    filled.remove();
    await trainer.client.resumeRun({ runId: 'r1' });
    expect(eventContent(await watch(trainer, () => false))).toEqual(eventContent(history));
    expect((await trainer.client.getRun({ runId: 'r1' })).run?.state).toBe(RunState.SUCCEEDED);
    const model = 'runs/r1/model.safetensors';
    expect(hash(join(disk.folder, model))).toBe(hash(join(folder, 'calm', model)));
  });
});

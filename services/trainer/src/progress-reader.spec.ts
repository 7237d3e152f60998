import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFolderStore } from '@kindred/artifact-store';
import { readExperiment } from '@kindred/experiment';
import { temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { takeProgress } from './progress-reader.js';
import { checkpointKey } from './run.js';
import { createRunEntry, newRecord } from './run-entry.js';
import { openRunJournal } from './run-journal.js';
import { createRunProgress } from './run-progress.js';
import { createRunStore } from './run-store.js';

const text = readFileSync(join(import.meta.dirname, '../../../configs/pretext/simclr_cifar10.yml'), 'utf8');
const experiment = readExperiment({ text, overrides: {} });

describe("a pod's account of its run", () => {
  const folder = temporaryFolder();
  const open = async (runId: string) => {
    const artifacts = await createFolderStore(join(folder, runId));
    const [store, progress] = [createRunStore(artifacts), createRunProgress(artifacts)];
    const createTime = '2026-01-01T00:00:00.000Z';
    const record = newRecord({ runId, experiment, dataRoot: '', seed: '1', createTime });
    await store.saveGoing(record);
    const entry = createRunEntry({ record, commits: [], damage: [] });
    const seen = { pod: '', noticeCount: 0 };
    const journal = async (pod: string) => {
      const stored = { record, ...(await store.loadWhole(runId)) };
      const options = { store, progress, stored, job: 'j', pod, tensorFlow: { intraOpThreads: 1 } };
      const opened = openRunJournal({ ...options, keepCheckpoints: 2, showMs: 3_600_000 });
      const step = (epoch: number): void => opened.emit({ kind: 'knn', epochsTrained: epoch, top1: epoch, seconds: 1 });
      const commit = async (steps: number): Promise<void> => {
        const key = checkpointKey(runId, steps);
        const { sha256 } = await artifacts.put(key, new TextEncoder().encode(`state ${steps}`));
        const checkpoint = { epochsCompleted: steps, stepsCompleted: steps, key, sha256, knnTop1: 1, best: false };
        opened.emit({ kind: 'checkpoint', ...checkpoint });
        await opened.commit({ checkpoint, elapsed: { seconds: 0, waitedSeconds: 0 } });
      };
      return { ...opened, step, commit };
    };
    const take = () => takeProgress(entry, seen, { store, progress });
    const shown = () =>
      entry.log.events.map(({ number, body }) =>
        body.kind === 'knn' ? `${number} knn ${body.epochsTrained}` : `${number} ${body.kind}`,
      );
    return { entry, journal, take, shown };
  };

  it('is the history, with what is not committed yet', async () => {
    const { entry, journal, take, shown } = await open('r1');
    const pod = await journal('p1');
    pod.step(1);
    await pod.commit(1);
    pod.step(2);
    pod.notify('slow');
    await pod.close();
    expect(await take()).toHaveLength(1);
    expect(shown()).toEqual(['0 knn 1', '1 checkpoint', '2 knn 2']);
    expect(entry).toMatchObject({ storedEvents: 2, commits: [{ checkpoint: { stepsCompleted: 1 } }] });
    expect(entry.log.notices.map(({ message }) => message)).toEqual(['slow']);
    // The same again says nothing new.
    expect(await take()).toEqual([]);
    expect(entry.log.notices).toHaveLength(1);
    expect(shown()).toHaveLength(3);
  });

  it('begins again at the last commit where another pod goes on', async () => {
    const { journal, take, shown } = await open('r2');
    const first = await journal('p1');
    await first.commit(1);
    first.step(98);
    first.step(99);
    await first.close();
    await take();
    expect(shown()).toEqual(['0 checkpoint', '1 knn 98', '2 knn 99']);
    const second = await journal('p2');
    second.step(2);
    await second.close();
    await take();
    expect(shown()).toEqual(['0 checkpoint', '1 knn 2']);
  });

  it('is read whole by a trainer that was away for several commits', async () => {
    const { entry, journal, take, shown } = await open('r3');
    const pod = await journal('p1');
    for (const steps of [1, 2, 3]) await pod.commit(steps);
    await pod.close();
    expect(await take()).toHaveLength(3);
    expect(shown()).toEqual(['0 checkpoint', '1 checkpoint', '2 checkpoint']);
    expect(entry.commits).toHaveLength(3);
  });
});

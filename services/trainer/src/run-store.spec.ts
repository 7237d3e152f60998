// Damage to the commits and checkpoints of a run that keeps its last three: what it goes on from, and that nothing whole is lost.
import { readFileSync } from 'node:fs';
import { truncate, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { createFolderStore } from '@kindred/artifact-store';
import { readExperiment } from '@kindred/experiment';
import { temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { checkpointKey, commitKey, type Commit } from './run.js';
import { newRecord } from './run-entry.js';
import { createRunStore } from './run-store.js';

const text = readFileSync(join(import.meta.dirname, '../../../configs/pretext/simclr_cifar10.yml'), 'utf8');
const time = '2026-01-01T00:00:00.000Z';
const steps = [10, 20, 30, 40, 50];

describe('run store', () => {
  const folder = temporaryFolder();

  const open = async (name: string) => {
    const artifacts = await createFolderStore(join(folder, name));
    const store = createRunStore(artifacts);
    const commitAfter = async (stepsCompleted: number): Promise<void> => {
      const key = checkpointKey('r1', stepsCompleted);
      const { sha256 } = await artifacts.put(key, new TextEncoder().encode(`state ${stepsCompleted}`));
      const checkpoint = { epochsCompleted: 0, stepsCompleted, key, sha256, knnTop1: null, best: false };
      const first = 2 * steps.indexOf(stepsCompleted);
      const events: Commit['events'] = [
        { number: first, time, body: { kind: 'knn', epochsTrained: first, top1: 1, seconds: 1 } },
        { number: first + 1, time, body: { kind: 'checkpoint', ...checkpoint } },
      ];
      await store.saveCommit('r1', { checkpoint, elapsed: { seconds: 0, waitedSeconds: 0 }, events });
      const kept = steps.filter((step) => step <= stepsCompleted).slice(-3);
      await store.keepCheckpoints(
        'r1',
        kept.map((step) => checkpointKey('r1', step)),
      );
    };
    const files = async (): Promise<Record<string, string>> => {
      const found: Record<string, string> = {};
      for await (const { key } of artifacts.list('runs/r1/'))
        found[key] = Buffer.from(await artifacts.get(key)).toString();
      return found;
    };
    const lastStep = async () => (await store.loadWhole('r1')).commits.at(-1)?.checkpoint.stepsCompleted;
    const damage = (key: string) => truncate(join(folder, name, key), 4);
    const age = (key: string, days: number) => {
      const then = new Date(Date.now() - days * 24 * 3_600_000);
      return utimes(join(folder, name, key), then, then);
    };
    return { artifacts, age, store, commitAfter, files, lastStep, damage };
  };
  const trained = async (name: string) => {
    const opened = await open(name);
    const experiment = readExperiment({ text });
    await opened.store.saveGoing(newRecord({ runId: 'r1', experiment, dataRoot: '', seed: '1', createTime: time }));
    for (const step of steps) await opened.commitAfter(step);
    return opened;
  };

  it.each([10, 20])(
    'leaves a run aside, and all of it as it is, when the old commit after %i steps is damaged',
    async (step) => {
      const { store, files, damage } = await trained(`old-${step}`);
      await damage(commitKey('r1', step));
      const before = await files();
      expect(Object.keys(before)).toEqual(
        expect.arrayContaining([30, 40, 50].map((kept) => checkpointKey('r1', kept))),
      );
      await expect(store.loadWhole('r1')).rejects.toMatchObject({
        code: 'DATA_LOSS',
        resource: { type: 'run', name: 'r1' },
        message: expect.stringContaining(commitKey('r1', step)) as string,
      });
      expect(await files()).toEqual(before);
    },
  );

  it('goes on from before a damaged commit, and takes up the whole ones after it when it comes there', async () => {
    const { store, commitAfter, files, lastStep, damage } = await trained('middle');
    const whole = await files();
    await damage(commitKey('r1', 40));
    const { commits, damage: notices } = await store.loadWhole('r1');
    expect(commits.map(({ checkpoint }) => checkpoint.stepsCompleted)).toEqual([10, 20, 30]);
    expect(notices[0]).toContain(commitKey('r1', 40));
    expect(await lastStep()).toBe(30);
    await commitAfter(40);
    expect(await lastStep()).toBe(50);
    const after = await files();
    expect(after[`${commitKey('r1', 40)}.damaged`]).toBe(whole[commitKey('r1', 40)]?.slice(0, 4));
    for (const key of [commitKey('r1', 50), checkpointKey('r1', 50)]) expect(after[key]).toBe(whole[key]);
  });

  it('goes on from the newest whole checkpoint, and keeps those that are damaged under another name', async () => {
    const { files, lastStep, damage } = await trained('newest');
    const whole = await files();
    for (const step of [40, 50]) await damage(checkpointKey('r1', step));
    expect(await lastStep()).toBe(30);
    const after = await files();
    for (const step of [40, 50]) {
      expect(after[`${checkpointKey('r1', step)}.damaged`]).toBe('stat');
      expect(after[`${commitKey('r1', step)}.damaged`]).toBe(whole[commitKey('r1', step)]);
      expect(after[checkpointKey('r1', step)]).toBeUndefined();
    }
  });

  it('keeps the last eight files that were damaged, for thirty days', async () => {
    const { artifacts, store, age, files } = await trained('aside');
    const names = Array.from({ length: 12 }, (_, days) => `${checkpointKey('r1', 1000 + days)}.damaged`);
    for (const [days, name] of names.entries()) {
      await artifacts.put(name, Uint8Array.of(days));
      await age(name, 5 * days);
    }
    const damaged = async () => Object.keys(await files()).filter((key) => key.endsWith('.damaged'));
    const whole = Object.keys(await files()).length - names.length;
    await store.load('r1');
    // Those of 0, 5, … 25 days; the seventh is thirty days old.
    expect(await damaged()).toEqual(names.slice(0, 6));
    for (const name of names) await artifacts.put(name, Uint8Array.of(1));
    for (const [hours, name] of names.entries()) await age(name, hours / 24);
    await store.loadWhole('r1');
    expect(await damaged()).toEqual(names.slice(0, 8));
    expect(Object.keys(await files())).toHaveLength(whole + 8);
  });

  it('starts no run anew whose checkpoints are all damaged', async () => {
    const { store, files, damage } = await trained('all');
    for (const step of [30, 40, 50]) await damage(checkpointKey('r1', step));
    const before = await files();
    await expect(store.loadWhole('r1')).rejects.toMatchObject({ code: 'DATA_LOSS' });
    expect(await files()).toEqual(before);
  });
});

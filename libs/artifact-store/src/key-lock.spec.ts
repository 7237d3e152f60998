import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { createSilenceWatch, withKeyLock } from './key-lock.js';
import { fateOf, isAbandoned, unfinishedName } from './unfinished.js';

const host = hostname().replace(/[^A-Za-z0-9.-]/g, '-');
const lockOf = (key: string): string => `lock-${createHash('sha256').update(key).digest('hex')}`;
const [, , , ownLife = ''] = unfinishedName().split('_');
const hourMs = 3_600_000;

describe('the lock of a key', () => {
  const folder = temporaryFolder('key-lock');

  it('is one process at a time, also among many that find a dead one in it', async () => {
    // The id is given to a process that lives, this one; who had it before was started at another time.
    for (const [round, owner] of [
      `${host}_${process.pid}_a_${ownLife}0`,
      `${host}_${spawnSync(process.execPath, ['--version']).pid}_a`,
      `${host}_${process.pid}_a_00000000-1`,
    ].entries()) {
      const key = `k${round}`;
      writeFileSync(join(folder, lockOf(key)), owner);
      let inside = 0;
      let most = 0;
      await Promise.all(
        Array.from({ length: 12 }, () =>
          withKeyLock(folder, key, async () => {
            most = Math.max(most, ++inside);
            for (let i = 0; i < 20; i++) await turn();
            inside--;
          }),
        ),
      );
      expect(most).toBe(1);
      expect(readdirSync(folder)).toEqual([]);
    }
  });

  it('is not left behind by work that fails', async () => {
    await expect(withKeyLock(folder, 'k', () => Promise.reject(new Error('broke')))).rejects.toThrow('broke');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('that a successor has taken over is not taken from it at the end', async () => {
    const lock = join(folder, lockOf('taken'));
    await withKeyLock(folder, 'taken', () => {
      rmSync(lock);
      writeFileSync(lock, 'elsewhere_1_a');
      return Promise.resolve();
    });
    expect(readdirSync(folder)).toContain(lockOf('taken'));
  });
});

describe('the fate of who has made a name', () => {
  it('is known of processes of this host by their start, however long ago they wrote', () => {
    const long = Date.now() - 3 * hourMs;
    expect(fateOf(unfinishedName(), long)).toBe('alive');
    expect(isAbandoned(unfinishedName(), long)).toBe(false);
    for (const life of [`${ownLife}0`, '00000000-1', 'x']) {
      expect(fateOf(`${host}_${process.pid}_a_${life}`, Date.now())).toBe('dead');
      expect(isAbandoned(`${host}_${process.pid}_a_${life}`, Date.now())).toBe(true);
    }
  });

  it('is not known of others, which are abandoned after an hour', () => {
    expect(fateOf(`elsewhere_${process.pid}_a_${ownLife}`, Date.now())).toBe('unknown');
    expect(isAbandoned('elsewhere_1_a', Date.now() - hourMs + 60_000)).toBe(false);
    expect(isAbandoned('elsewhere_1_a', Date.now() - hourMs - 60_000)).toBe(true);
    // Names from before starts were in them.
    expect(fateOf(`${host}_${process.ppid}_a`, Date.now())).toBe('unknown');
  });

  it('of others is silence: none of their touches for so long, by this clock alone', () => {
    let now = 0;
    const isSilent = createSilenceWatch(60, () => now);
    const touched = 1e12;
    expect(isSilent('a', touched)).toBe(false);
    now = 59;
    expect(isSilent('a', touched)).toBe(false);
    // It was heard of, though its clock goes wrong.
    expect(isSilent('a', touched - 5)).toBe(false);
    now = 118;
    expect(isSilent('a', touched - 5)).toBe(false);
    expect(isSilent('b', touched - 5)).toBe(false);
    now = 120;
    expect(isSilent('a', touched - 5)).toBe(true);
    expect(isSilent('b', touched - 5)).toBe(false);
  });
});

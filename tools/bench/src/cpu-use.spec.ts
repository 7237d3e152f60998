import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { coresOfOthers, parseMachine, parseProcess, sampleCpu, treeSeconds, waitForQuiet } from './cpu-use.js';

describe('processor time', () => {
  it('counts all of the machine but idle, waiting and guests', () => {
    expect(parseMachine('cpu  100 20 30 4000 500 6 7 8 90 10\ncpu0 1 1 1 1')).toBeCloseTo(1.71, 10);
  });

  it('reads a process whose name holds brackets', () => {
    const stat = '42 (a) (b c) S 7 42 42 0 -1 4194560 1 2 3 4 150 25 300 25 20 0 1 0 9 1 1';
    expect(parseProcess(stat)).toEqual({ pid: 42, parent: 7, seconds: 5 });
  });

  it('adds up a process and its descendants, in whatever order they are listed', () => {
    const processes = [
      { pid: 3, parent: 9, seconds: 1 },
      { pid: 9, parent: 5, seconds: 2 },
      { pid: 5, parent: 1, seconds: 4 },
      { pid: 6, parent: 1, seconds: 8 },
    ];
    expect(treeSeconds(processes, 5)).toBe(7);
  });

  it('leaves to others what this process did not use', () => {
    const before = { atMs: 0, machineSeconds: 10, ownSeconds: 5 };
    expect(coresOfOthers(before, { atMs: 2000, machineSeconds: 13, ownSeconds: 7 })).toBeCloseTo(0.5, 10);
    // Both clocks tick in hundredths: own time may seem to be more than the machine's.
    expect(coresOfOthers(before, { atMs: 2000, machineSeconds: 11, ownSeconds: 6.01 })).toBe(0);
    expect(coresOfOthers(before, null)).toBeNull();
  });

  it.skipIf(process.platform !== 'linux')('counts a child that has ended as its own', () => {
    const before = sampleCpu();
    spawnSync(process.execPath, ['-e', 'const end = Date.now() + 300; while (Date.now() < end);']);
    const after = sampleCpu();
    expect(after!.ownSeconds - before!.ownSeconds).toBeGreaterThan(0.1);
    expect(after!.machineSeconds - before!.machineSeconds).toBeGreaterThan(0.1);
  });

  it('waits for quiet, but not for ever', async () => {
    let machineSeconds = 0;
    let looks = 0;
    const sample = (growth: (look: number) => number) => () => {
      machineSeconds += growth(looks++);
      return { atMs: looks * 1000, machineSeconds, ownSeconds: 0 };
    };
    await waitForQuiet(
      60_000,
      sample((look) => (look < 2 ? 1 : 0)),
    );
    expect(looks).toBe(3);
    await waitForQuiet(
      600,
      sample(() => 1),
    );
    // How often it looked is the machine's matter; that it has ended is what counts.
    expect(looks).toBeGreaterThan(3);
  });
});

import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { coresOfMachine } from './cores.js';

let made = 0;
const folder = temporaryFolder('kindred-cores');

/** What a process sees whose `/proc/self/cgroup` is `own`, with these files below /sys/fs/cgroup, on a machine of 64 cores. */
function coresWith(own: string, files: Readonly<Record<string, string>>): number {
  const root = join(folder, String(made++));
  for (const [name, text] of Object.entries({ own: own, ...files })) {
    const path = name === 'own' ? join(root, 'own') : join(root, 'groups', name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  return coresOfMachine({ cgroups: join(root, 'groups'), own: join(root, 'own'), cores: 64 });
}

describe('cores', () => {
  it("are the machine's where nothing limits them", () => {
    expect(coresWith('0::/\n', {})).toBe(64);
    expect(coresWith('0::/\n', { 'cpu.max': 'max 100000\n' })).toBe(64);
    expect(coresWith('', { 'cpu/cpu.cfs_quota_us': '-1\n', 'cpu/cpu.cfs_period_us': '100000\n' })).toBe(64);
    expect(coresOfMachine()).toBeLessThanOrEqual(availableParallelism());
    expect(coresOfMachine({ cgroups: '/nowhere', own: '/nowhere/own', cores: 3 })).toBe(3);
  });

  it.each([
    ['400000 100000\n', 4],
    ['250000 100000\n', 3],
    ['10000 100000\n', 1],
    ['9900000 100000\n', 64],
    ['nonsense\n', 64],
    ['0 0\n', 64],
  ])("are a container's own: %j", (text, cores) => {
    expect(coresWith('0::/\n', { 'cpu.max': text })).toBe(cores);
    const [quota = '', period = ''] = text.split(' ');
    const own = '5:cpu,cpuacct:/\n0::/\n';
    expect(coresWith(own, { 'cpu/cpu.cfs_quota_us': quota, 'cpu/cpu.cfs_period_us': period })).toBe(cores);
  });

  it('are those of the tightest group around', () => {
    const files = { 'a/b/cpu.max': 'max 100000', 'a/cpu.max': '200000 100000', 'cpu.max': '800000 100000' };
    expect(coresWith('0::/a/b\n', files)).toBe(2);
    expect(coresWith('0::/a/b\n', { ...files, 'a/b/cpu.max': '100000 100000' })).toBe(1);
  });

  it("are found where the group's name is the host's, and the container's files lie at the top", () => {
    const own = '4:cpuacct,cpu:/kubepods/burstable/pod1/c2\n';
    expect(coresWith(own, { 'cpu/cpu.cfs_quota_us': '300000', 'cpu/cpu.cfs_period_us': '100000' })).toBe(3);
  });
});

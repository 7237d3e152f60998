import { describe, expect, it } from 'vitest';
import { knownName, measure } from './measure.mjs';

describe('measuring a command', () => {
  it('sees the memory and the time of the processes that it begins', async () => {
    const inner = `const held = Buffer.alloc(200 << 20, 1); const end = Date.now() + 3000; while (Date.now() < end) held[0]++; process.exit(held[1] - 1)`;
    const outer = `require('node:child_process').spawnSync(process.execPath, ['-e', ${JSON.stringify(inner)}])`;
    const command = [process.execPath, '-e', outer];
    const { code, processes } = await measure(command, (words) =>
      words.includes('spawnSync') ? 'outer' : words.includes('Buffer.alloc') ? 'inner' : null,
    );
    expect(code).toBe(0);
    const byName = new Map(processes.map((one) => [one.name, one]));
    expect([...byName.keys()].sort()).toEqual(['inner', 'outer']);
    expect(byName.get('inner')?.peakMib).toBeGreaterThan(200);
    expect(byName.get('outer')?.peakMib).toBeLessThan(200);
    expect(byName.get('inner')?.cpuSeconds).toBeGreaterThan(byName.get('outer')?.cpuSeconds ?? 0);
  });

  it('says how a command has ended', async () => {
    const { code, processes } = await measure([process.execPath, '-e', 'process.exit(3)'], () => null);
    expect([code, processes]).toEqual([3, []]);
    await expect(measure(['/nowhere/program'], () => null)).rejects.toThrow('ENOENT');
  });

  it('knows the processes of the table', () => {
    expect(knownName('node /x/dist/services/embedding/main.js')).toBe('embedding main');
    expect(knownName('node /x/dist/services/trainer/training.worker.js')).toBe('trainer training.worker');
    expect(knownName('/c/minio-v0/minio server /data')).toBe('minio');
    expect(knownName('/c/weaviate-v1.35.2/weaviate --scheme http')).toBe('weaviate');
    expect(knownName('node /x/other.js')).toBeNull();
  });
});

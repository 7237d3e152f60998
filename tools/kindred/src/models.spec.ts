import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createFolderStore } from '@kindred/artifact-store';
import { encodeSafetensors } from '@kindred/formats';
import { createModelRegistry, watchModel } from '@kindred/lineage';
import { temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { workspaceFolder } from './data-folder.js';
import { startProgram } from './started-program.js';

/** Built by this project's test target: it starts in a fraction of the time. */
const program = join(workspaceFolder(), 'dist/tools/kindred/main.js');

describe('models changed by many processes at once', () => {
  it('lose no version and no alias, also where a process is killed', { timeout: 180_000 }, async () => {
    const folder = join(temporaryFolder(), 'artifacts');
    const registry = createModelRegistry(await createFolderStore(folder));
    const changing = ['--import', 'tsx', join(import.meta.dirname, 'spec/change-models.ts')];
    const workers = ['a', 'b', 'c', 'd'].map((name) => {
      const child = spawn(process.execPath, [...changing, folder, name, '12'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const worker = { name, child, text: '', ended: once(child, 'close') };
      child.stdout.on('data', (part: Buffer) => {
        worker.text += part.toString();
        // In the midst of its work: a whole line says that the change before has returned.
        if (name === 'd' && worker.text.split('\n').length > 8) child.kill('SIGKILL');
      });
      return worker;
    });
    await Promise.all(workers.map(({ ended }) => ended));
    expect(workers.map(({ child }) => child.signalCode ?? child.exitCode)).toEqual([0, 0, 0, 'SIGKILL']);

    const model = await registry.get('cats');
    expect(model.versions.map(({ version }) => version)).toEqual(model.versions.map((_, i) => i + 1));
    expect(model.aliases['latest']).toBe(model.versions.length);
    for (const { name, text } of workers) {
      const lines = text
        .split('\n')
        .slice(0, -1)
        .map((line) => line.split(' '));
      const versions = lines.filter(([kind]) => kind === 'version');
      expect(versions.length).toBeGreaterThanOrEqual(name === 'd' ? 4 : 12);
      for (const [, version, key] of versions) expect(model.versions[Number(version) - 1]?.key).toBe(key);
      const lastMove = lines.filter(([kind]) => kind === 'alias').at(-1);
      if (name !== 'd') expect(model.aliases[`of-${name}`]).toBe(Number(lastMove?.[2]));
    }
  });
});

describe('kindred models', () => {
  it(
    'registers, shows, moves and deletes; a watcher in another process sees the move',
    { timeout: 120_000 },
    async () => {
      const data = join(temporaryFolder(), 'data');
      const store = await createFolderStore(join(data, 'artifacts'));
      const kindred = async (...words: string[]) => {
        const started = startProgram([program], ['--data', data, 'models', ...words]);
        return { code: await started.exit, result: started.lines.at(-1) };
      };
      for (const run of ['r1', 'r2']) {
        const weights = { dtype: 'F32', shape: [1], data: Float32Array.of(run.length) } as const;
        await store.put(`runs/${run}/model.safetensors`, encodeSafetensors({ weights }, { run }));
      }
      await store.put('runs/r3/model.safetensors', Buffer.from('no model'));
      expect(await kindred('register', 'cats', 'r1')).toMatchObject({ code: 0, result: { version: 1 } });
      expect(await kindred('register', 'cats', 'runs/r2/model.safetensors')).toMatchObject({ result: { version: 2 } });
      expect(await kindred('register', 'cats', 'r3')).toMatchObject({ code: 4, result: { code: 'DATA_LOSS' } });
      const ending = new AbortController();
      const watched = watchModel(store, 'cats@production', { signal: ending.signal, intervalMs: 20 });
      const first = watched.next();
      expect(await kindred('alias', 'cats', 'production', '1', '--expect', '0')).toMatchObject({ code: 0 });
      expect((await first).value).toMatchObject({ version: 1, key: 'runs/r1/model.safetensors' });
      const second = watched.next();
      expect(await kindred('alias', 'cats', 'production', '2', '--expect', '1')).toMatchObject({ code: 0 });
      expect((await second).value).toMatchObject({ version: 2 });
      ending.abort();
      expect(await kindred('alias', 'cats', 'production', '1', '--expect', '1')).toMatchObject({ code: 1 });
      expect(await kindred('show', 'cats@production')).toMatchObject({ result: { version: 2 } });
      expect(await kindred('delete', 'cats@2')).toMatchObject({ code: 1 });
      expect(await kindred('delete', 'cats@1')).toMatchObject({ code: 0 });
      expect((await kindred()).result).toMatchObject({
        models: [{ name: 'cats', aliases: { latest: 2, production: 2 } }],
      });
      expect(await kindred('show', 'dogs')).toMatchObject({ code: 2, result: { code: 'NOT_FOUND' } });
    },
  );
});

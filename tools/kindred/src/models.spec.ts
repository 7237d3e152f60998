import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createFolderStore, openStore } from '@kindred/artifact-store';
import { encodeSafetensors } from '@kindred/formats';
import { createModelRegistry, watchModel } from '@kindred/lineage';
import { goProgram, startS3Server, temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { runHere } from './spec/run-here.js';

const servers = await Promise.all(
  (['minio', 'versitygw'] as const).map(async (kind) => ({ kind, program: await goProgram(kind) })),
);

/** Four processes change one model at once; one of them is killed in the midst of it. Nothing that has returned is lost. */
async function changeByMany(location: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const changing = ['--import', 'tsx', join(import.meta.dirname, 'spec/change-models.ts'), location];
  const workers = ['a', 'b', 'c', 'd'].map((name) => {
    const child = spawn(process.execPath, [...changing, name, '8'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...environment },
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

  const model = await createModelRegistry(await openStore(location, { environment })).get('cats');
  expect(model.versions.map(({ version }) => version)).toEqual(model.versions.map((_, i) => i + 1));
  expect(model.aliases['latest']).toBe(model.versions.length);
  for (const { name, text } of workers) {
    const lines = text
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split(' '));
    const versions = lines.filter(([kind]) => kind === 'version');
    expect(versions.length).toBeGreaterThanOrEqual(name === 'd' ? 4 : 8);
    for (const [, version, key] of versions) expect(model.versions[Number(version) - 1]?.key).toBe(key);
    const lastMove = lines.filter(([kind]) => kind === 'alias').at(-1);
    if (name !== 'd') expect(model.aliases[`of-${name}`]).toBe(Number(lastMove?.[2]));
  }
}

describe('models changed by many processes at once lose nothing', () => {
  const folder = temporaryFolder();

  it('in a folder', { timeout: 180_000 }, () => changeByMany(join(folder, 'artifacts'), {}));

  for (const { kind, program } of servers) {
    it.skipIf(program === null)(`on ${kind}`, { timeout: 180_000 }, async () => {
      const server = await startS3Server({ kind, program: program ?? '', folder: join(folder, kind) });
      try {
        server.makeBucket('artifacts');
        await changeByMany(`s3://artifacts/a?endpoint=${server.endpoint}`, server.credentials);
      } finally {
        await server.stop('SIGKILL');
      }
    });
  }
});

describe('kindred models', () => {
  it('registers, shows, moves and deletes; a watcher sees the move', { timeout: 120_000 }, async () => {
    const data = join(temporaryFolder(), 'data');
    const store = await createFolderStore(join(data, 'artifacts'));
    const kindred = (...words: string[]) => runHere(data, 'models', ...words);
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
    await store.put('registry/dogs.json', Buffer.from('{"schemaVersion":1,'));
    const listed = await kindred();
    expect(listed.words).toContain('registry/dogs.json is damaged');
    expect(listed).toMatchObject({
      result: { models: [{ name: 'cats' }], damaged: [{ name: 'dogs', key: 'registry/dogs.json' }] },
    });
  });
});

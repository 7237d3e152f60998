import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { expect, it, vi } from 'vitest';
import { watchFiles } from './watched-files.js';

const folder = temporaryFolder('watched');

it('follows a mounted secret, which is a link that is turned to a new folder', async () => {
  for (const version of ['1', '2']) {
    mkdirSync(join(folder, version));
    writeFileSync(join(folder, version, 'file'), `value ${version}`);
  }
  symlinkSync('1', join(folder, 'data'));
  const watched = watchFiles({ files: [join(folder, 'data', 'file')], parse: String, intervalMs: 20 });
  expect(watched.current()).toBe('value 1');
  symlinkSync('2', join(folder, 'next'));
  renameSync(join(folder, 'next'), join(folder, 'data'));
  await vi.waitFor(() => expect(watched.current()).toBe('value 2'), { timeout: 20_000 });
  watched.close();
});

it('tells of each unusable content once', async () => {
  const file = join(folder, 'number');
  writeFileSync(file, '1');
  const rejected: string[] = [];
  const watched = watchFiles({
    files: [file],
    parse(contents) {
      const value = Number(String(contents));
      if (Number.isNaN(value)) throw new Error(`'${String(contents)}' is no number`);
      return value;
    },
    onRejected: ({ message }) => rejected.push(message),
  });
  for (const content of ['x', 'x', 'y']) {
    writeFileSync(file, content);
    await watched.check();
  }
  expect(watched.current()).toBe(1);
  expect(rejected).toEqual([expect.stringContaining("'x'"), expect.stringContaining("'y'")]);
  watched.close();
});

// The main job against stand-ins, through the program as a person starts it.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { fakeState, writeFakeBundles } from './fake-bundles.js';
import { holdFile } from './fake-service.js';
import { killService, startProgram, type Line, type StartedProgram } from './started-program.js';

const experiment = join(import.meta.dirname, '../../../configs/pretext/simclr_cifar10.yml');
let bundles = '';
beforeAll(() => {
  bundles = writeFakeBundles(temporaryFolder());
});

const kindred = (data: string, ...words: string[]): StartedProgram =>
  startProgram(['--import', 'tsx', join(import.meta.dirname, 'main.ts')], ['--data', data, ...words], {
    KINDRED_SERVICE_BUNDLES: bundles,
  });

/** The stand-in of `service` stops half-way until `letGo`. */
function hold(service: 'trainer' | 'embedding'): { letGo(): void } {
  const path = join(fakeState(bundles), holdFile(service));
  mkdirSync(fakeState(bundles), { recursive: true });
  writeFileSync(path, '');
  return { letGo: () => rmSync(path) };
}

const steps = (lines: readonly Line[]) =>
  lines.filter(({ event }) => event === 'step').map(({ epoch, step }) => `${epoch}/${step}`);

describe('pretext', () => {
  it('trains, embeds, mines and sums up with its own services', async () => {
    const job = kindred(join(temporaryFolder(), 'data'), 'pretext', '--config-exp', experiment, '--run-id', 'r1');
    expect(await job.exit, job.words()).toBe(0);
    expect(job.lines.at(-1)).toMatchObject({
      event: 'summary',
      runId: 'r1',
      untrainedKnnTop1: 20,
      knnTop1: 50,
      bestCheck: { top1: 50, epochsTrained: 3 },
      tensorboard: expect.stringContaining('artifacts/runs/r1/tensorboard'),
      knnTop1PerEpoch: [30, 40, 50],
      meanLossPerEpoch: [5, 4, 3],
      linearProbeTop1: 62.5,
      backboneKnnTop1: null,
      neighborAccuracyTrain: 75,
      neighborAccuracyVal: 75,
      artifacts: { 'topk-train-neighbors.npy': expect.stringContaining('runs/r1/topk-train-neighbors.npy') },
    });
    expect(job.words()).toContain('1/3');
    expect(job.words()).toMatch(/linear probe top-1 +62\.5 %/);
  });

  it('goes on at the next event after the trainer was killed, and names it', async () => {
    const data = join(temporaryFolder(), 'data');
    const held = hold('trainer');
    const job = kindred(data, 'pretext', '--config-exp', experiment);
    await job.line(({ event }) => event === 'step');
    await killService(data, 'trainer');
    held.letGo();
    expect(await job.exit, job.words()).toBe(0);
    expect(job.words()).toContain('service trainer ended (signal SIGKILL)');
    const seen = steps(job.lines);
    expect(seen).toHaveLength(12);
    expect(new Set(seen).size).toBe(12);
  });

  it('makes the embedding again after its service was killed', async () => {
    const data = join(temporaryFolder(), 'data');
    const held = hold('embedding');
    const job = kindred(data, 'pretext', '--config-exp', experiment);
    await job.line(({ event, completed }) => event === 'embedding' && Number(completed) > 0);
    await killService(data, 'embedding');
    held.letGo();
    expect(await job.exit, job.words()).toBe(0);
    expect(job.words()).toContain('service embedding ended');
  });

  it('leaves the run to a running `up` on Ctrl-C, and cancels its own', { timeout: 240_000 }, async () => {
    const data = join(temporaryFolder(), 'data');
    const up = kindred(data, 'up', '--port-base', '0');
    await up.line(({ event }) => event === 'ready');
    const second = kindred(data, 'up', '--port-base', '0');
    expect(await second.exit).toBe(1);
    expect(second.words()).toContain('already');

    let held = hold('trainer');
    const attached = kindred(data, 'pretext', '--config-exp', experiment, '--run-id', 'r2');
    await attached.line(({ event }) => event === 'step');
    attached.child.kill('SIGINT');
    expect(await attached.exit).toBe(130);
    expect(attached.words()).toContain('kindred runs watch r2');
    held.letGo();
    const watched = kindred(data, 'runs', 'watch', 'r2');
    expect(await watched.exit, watched.words()).toBe(0);

    up.child.kill('SIGTERM');
    expect(await up.exit).toBe(0);
    const away = kindred(data, 'runs', 'show', 'r2');
    expect(await away.exit).toBe(3);

    held = hold('trainer');
    const own = kindred(data, 'pretext', '--config-exp', experiment, '--run-id', 'r3');
    await own.line(({ event }) => event === 'step');
    own.child.kill('SIGINT');
    expect(await own.exit).toBe(130);
    held.letGo();
    const resumed = kindred(data, 'pretext', '--resume', 'r3');
    expect(await resumed.exit, resumed.words()).toBe(0);
  });

  it.each([
    ['unknown command', ['nonsense']],
    ['unknown option', ['pretext', '--nonsense']],
    ['missing file', ['pretext', '--config-exp', '/nowhere.yml']],
    ['impossible value', ['pretext', '--config-exp', experiment, '--set', 'epochs=-1']],
    ['--set of a run that goes on', ['pretext', '--resume', 'r1', '--set', 'epochs=1']],
    ['--seed of a run that goes on', ['pretext', '--resume', 'r1', '--seed', '0']],
    ['--data-dir of a run that goes on', ['pretext', '--resume', 'r1', '--data-dir', '/data']],
    ['--run-id of a run that goes on', ['pretext', '--resume', 'r1', '--run-id', 'r2']],
    ['unknown data set', ['demo', '--dataset', 'mnist']],
  ])('ends with 2 on %s', async (_, words) => {
    const job = kindred(join(temporaryFolder(), 'data'), ...words);
    expect(await job.exit).toBe(2);
    expect(job.words()).toMatch(/error/);
    if (words.includes('--resume')) expect(job.words()).toContain(`got ${words[3]}; not allowed beside --resume`);
    expect(job.words()).not.toMatch(/^ +at /m);
  });
});

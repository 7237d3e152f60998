// Exact resume: whatever is killed at whatever instant, a run ends with the weights and the history of the undisturbed one.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createFolderStore } from '@kindred/artifact-store';
import { TrainingServiceDefinition, type RunEvent } from '@kindred/protocol/training';
import { connect } from '@kindred/service-runtime';
import { eventContent, temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { createRandom, fileAppears, pathAppears } from './instants.js';
import { smallSettings } from './small-settings.js';
import { startRestartedService, type RestartedService } from './restarted-service.js';

const kills = 50;
const killsPerRun = 9;
const seed = Number(process.env['KINDRED_KILL_SEED'] ?? 20_26);
const runId = 'r1';
const settings = { epochs: '12', ...smallSettings };

const targets = ['trainer', 'data-augmentation', 'both', 'training process'] as const;
type Target = (typeof targets)[number];

/** Dangerous instants, each with whom to kill in it. */
const aims = {
  'while the training process writes a checkpoint': ['training process', 'trainer'],
  'between a checkpoint and its commit': ['trainer', 'training process', 'both'],
  'while the trainer writes a commit': ['trainer', 'both'],
  'just after a commit': ['trainer', 'training process'],
  'between the model and the end': ['trainer', 'training process', 'both'],
} as const satisfies Record<string, readonly Target[]>;
type Aim = keyof typeof aims;
const atRandom = 'at a random time';
/** Kept for a run's last kill: no other can follow it. */
const atTheEnd: Aim = 'between the model and the end';

interface Scene {
  readonly store: string;
  readonly trainer: RestartedService;
  readonly augmentation: RestartedService;
}

describe('exact resume', () => {
  const folder = temporaryFolder('kindred-exact-resume');
  const random = createRandom(seed);
  const hits: Record<string, number> = {};

  it(`survives ${kills} kills (seed ${seed})`, async () => {
    const calm = await openScene(join(folder, 'calm'));
    const calmMs = await timed(async () => {
      await startRun(calm);
      await untilEnded(calm.store, AbortSignal.timeout(120_000));
    });
    const expected = await outcome(calm);
    await closeScene(calm);
    expect(expected.events.length).toBeGreaterThan(100);

    let killed = 0;
    for (let run = 0; killed < kills; run++) {
      const scene = await openScene(join(folder, `run-${run}`));
      await startRun(scene);
      const ended = new AbortController();
      const end = untilEnded(scene.store, AbortSignal.timeout(300_000)).finally(() => ended.abort());
      for (let kill = 0; kill < killsPerRun && killed < kills && !ended.signal.aborted; kill++) {
        const isLast = kill === killsPerRun - 1;
        if (await strike(scene, isLast ? atTheEnd : null, calmMs, ended.signal)) killed++;
      }
      await end;
      await scene.trainer.ready();
      const found = await outcome(scene);
      expect(found.model, `weights of run ${run}`).toBe(expected.model);
      expect(found.checkpoints, `checkpoints of run ${run}`).toEqual(expected.checkpoints);
      expect(found.events, `history of run ${run}`).toEqual(expected.events);
      await closeScene(scene);
      // What killed writers have left is removed by whoever opens the store next.
      await createFolderStore(scene.store);
      expect(readdirSync(join(scene.store, '.unfinished'))).toEqual([]);
      console.log(`run ${run}: ${killed} kills so far, identical`);
    }
    console.log(`undisturbed run: ${Math.round(calmMs)} ms`);
    for (const [what, count] of Object.entries(hits).sort()) console.log(`${String(count).padStart(4)}  ${what}`);
    for (const target of targets) expect(hits[`killed ${target}`] ?? 0, target).toBeGreaterThan(0);
  });

  /** Waits for one instant, `asked` or drawn, and kills; false when the run ended before it came. */
  async function strike(scene: Scene, asked: Aim | null, calmMs: number, ended: AbortSignal): Promise<boolean> {
    if (asked === null && random.fraction() < 0.65) {
      // In turn, so that each is killed about as often.
      const target = targets[(hits[atRandom] ?? 0) % targets.length] as Target;
      await delay(random.fraction() * 0.75 * calmMs, undefined, { signal: ended }).catch(() => {});
      return !ended.aborted && kill(scene, target, atRandom);
    }
    const aim = asked ?? random.choose((Object.keys(aims) as Aim[]).filter((name) => name !== atTheEnd));
    const target = random.choose<Target>(aims[aim]);
    const seen = await instant(scene, aim, 1 + random.below(5), ended);
    return seen && kill(scene, target, aim);
  }

  function instant({ store, trainer }: Scene, aim: Aim, count: number, ended: AbortSignal): Promise<boolean> {
    const unfinished = join(store, '.unfinished');
    const own = (pids: () => number[]) => (name: string) => pids().includes(Number(name.split('_')[1]));
    switch (aim) {
      case 'while the training process writes a checkpoint':
        return fileAppears(unfinished, own(trainer.children), count, ended);
      case 'while the trainer writes a commit':
        return fileAppears(
          unfinished,
          own(() => [trainer.pid()]),
          count,
          ended,
        );
      case 'between a checkpoint and its commit':
        return fileAppears(join(store, 'runs', runId, 'checkpoints'), () => true, count, ended);
      case 'just after a commit':
        return fileAppears(join(store, 'runs', runId, 'commits'), () => true, count, ended);
      case 'between the model and the end':
        return pathAppears(join(store, 'runs', runId, 'model.safetensors'), ended);
    }
  }

  async function kill({ store, trainer, augmentation }: Scene, target: Target, when: string): Promise<boolean> {
    const [training] = trainer.children();
    if (target === 'training process' && training === undefined) return false;
    // Signals first, everything else after them: the instant is short.
    if (target === 'training process') process.kill(training ?? 0, 'SIGKILL');
    const gone = [
      ...(target === 'trainer' || target === 'both' ? [trainer.kill()] : []),
      ...(target === 'data-augmentation' || target === 'both' ? [augmentation.kill()] : []),
    ];
    const trace = traceOf(store);
    await Promise.all(gone);
    for (const what of [`killed ${target}`, when, ...trace]) hits[what] = (hits[what] ?? 0) + 1;
    return true;
  }
});

async function openScene(store: string): Promise<Scene> {
  const augmentation = await startRestartedService('data-augmentation', {});
  const trainer = await startRestartedService('trainer', {
    KINDRED_ARTIFACT_STORE: store,
    KINDRED_DATA_AUGMENTATION_ADDR: augmentation.address,
    KINDRED_TRAINER_THREADS: '1',
  });
  return { store, trainer, augmentation };
}

async function closeScene({ trainer, augmentation }: Scene): Promise<void> {
  await trainer.stop();
  await augmentation.stop();
}

async function startRun({ trainer }: Scene): Promise<void> {
  const file = resolve(import.meta.dirname, '../../../configs/pretext/demo_drawn.yml');
  const { client, close } = connect(TrainingServiceDefinition, { service: 'trainer', address: trainer.address });
  await client.startRun({ runId, experiment: readFileSync(file, 'utf8'), overrides: settings, seed: 11n });
  close();
}

/** Waits until the run's record says that it has ended. The file is replaced whole, so that it can be read at any time. */
async function untilEnded(store: string, signal: AbortSignal): Promise<void> {
  const path = join(store, 'runs', runId, 'run.json');
  for (;;) {
    const { state, failure } = JSON.parse(readFileSync(path, 'utf8')) as { state: string; failure: unknown };
    if (state === 'succeeded') return;
    if (state !== 'pending' && state !== 'running') throw new Error(`run ${state}: ${JSON.stringify(failure)}`);
    await delay(20, undefined, { signal });
  }
}

/** All that must be the same in every run. */
async function outcome({ store, trainer }: Scene) {
  const { client, close } = connect(TrainingServiceDefinition, { service: 'trainer', address: trainer.address });
  const events: RunEvent[] = [];
  for await (const { content } of client.watchRun({ runId })) {
    if (content?.$case === 'event') events.push(content.value);
  }
  close();
  const folder = join(store, 'runs', runId, 'checkpoints');
  const hash = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
  return {
    model: hash(join(store, 'runs', runId, 'model.safetensors')),
    checkpoints: readdirSync(folder)
      .sort()
      .map((name) => [name, hash(join(folder, name))]),
    events: events.map(eventContent),
  };
}

/** What the files say of the instant of a kill. */
function traceOf(store: string): string[] {
  const names = (name: string): string[] => {
    const path = join(store, 'runs', runId, name);
    return existsSync(path) ? readdirSync(path).map((file) => file.replace(/\..*/, '')) : [];
  };
  const commits = names('commits');
  const uncommitted = names('checkpoints').some((step) => !commits.includes(step));
  return [
    ...(uncommitted ? ['(left a checkpoint without a commit)'] : []),
    ...(readdirSync(join(store, '.unfinished')).length > 0 ? ['(left an unfinished file)'] : []),
  ];
}

async function timed(work: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

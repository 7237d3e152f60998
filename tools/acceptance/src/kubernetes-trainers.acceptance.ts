// The trainer's own pod on a real control plane: deleted in mid-run, replaced while it still works, frozen and woken again. Runs are
// neither lost nor doubled by it.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  controlPlanePrograms,
  startControlPlane,
  startProcessNode,
  until,
  type ControlPlane,
  type ProcessNode,
} from '@kindred/control-plane';
import { RunState } from '@kindred/protocol/training';
import { temporaryFolder } from '@kindred/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { deployTrainer, type DeployedTrainer } from './kubernetes-deployed-trainer.js';
import { outcomeOf, undisturbed, type RunOutcome } from './kubernetes-outcome.js';
import { callTrainer, furnishNamespace, type RunsNamespace, type TrainerCalls } from './kubernetes-scene.js';
import { startRestartedService, type RestartedService } from './restarted-service.js';

const programs = await controlPlanePrograms();
const processes = { 'kindred.dev/processes': 'true' };
const { SUCCEEDED, FAILED, RUNNING } = RunState;

describe.skipIf(programs === null)("the trainer's pod", () => {
  const folder = temporaryFolder('kindred-trainers');
  const connections: { close(): void }[] = [];
  let plane: ControlPlane;
  let augmentation: RestartedService;
  let node: ProcessNode;
  let space: RunsNamespace;
  let trainer: DeployedTrainer;
  let expected: RunOutcome;

  beforeAll(async () => {
    if (programs === null) return;
    augmentation = await startRestartedService('data-augmentation', {});
    expected = await undisturbed(join(folder, 'undisturbed'), augmentation.address);
    plane = await startControlPlane({ programs, nodes: [] });
    node = await startProcessNode(plane, { name: 'worker', cpu: '8', labels: processes });
    const options = {
      plane,
      namespace: 'kindred',
      store: join(folder, 'store'),
      augmentationAddress: augmentation.address,
      pod: { nodeSelector: processes },
      environment: { KINDRED_TRAINER_LEASE_MS: '6000' },
    };
    space = await furnishNamespace(options);
    trainer = await deployTrainer(options, [node], processes);
  }, 240_000);
  afterEach(() => {
    for (const connection of connections.splice(0)) connection.close();
  });
  afterAll(async () => {
    await trainer?.close();
    await node?.close();
    await plane?.close();
    await augmentation?.stop();
  });

  const call = (address: string): TrainerCalls => {
    const calls = callTrainer(address);
    connections.push(calls);
    return calls;
  };
  const untilServing = (calls: TrainerCalls): Promise<void> =>
    until(() => calls.isServing().catch(() => false), 'the trainer serves');
  const serving = async (former: readonly string[] = []) => {
    const { pod, address } = await trainer.successor(former);
    const calls = call(address);
    await untilServing(calls);
    return { pod, calls };
  };
  const untilCommit = (runId: string, count: number): Promise<void> => {
    const commits = join(space.store, 'runs', runId, 'commits');
    return until(async () => existsSync(commits) && readdirSync(commits).length >= count, `run ${runId} has committed`);
  };
  /** What trainer, Job and store say of a run is one and the same. */
  const expectConsistent = async (calls: TrainerCalls, runId: string, uid: string): Promise<void> => {
    const run = await calls.untilState(runId, [SUCCEEDED, FAILED]);
    expect(run).toMatchObject({ state: SUCCEEDED, attempts: 1, model: runId });
    await until(async () => (await space.job(runId)).status.succeeded === 1, 'the Job is complete');
    expect((await space.job(runId)).metadata.uid).toBe(uid);
    expect(await space.pods(runId)).toHaveLength(1);
    const record = JSON.parse(readFileSync(join(space.store, 'runs', runId, 'run.json'), 'utf8')) as {
      state: string;
      work: { job: string };
    };
    expect(record).toMatchObject({ state: 'succeeded', work: { job: uid } });
    expect(outcomeOf(space.store, runId, await calls.events(runId))).toEqual(expected);
  };
  const uidOf = async (runId: string): Promise<string> => (await space.job(runId)).metadata.uid as string;

  it('is deleted in mid-run: Job and run stay one, and a run that was asked for a moment before has its turn', async () => {
    const { pod, calls } = await serving();
    await calls.start('deleted');
    await untilCommit('deleted', 2);
    const uid = await uidOf('deleted');
    await calls.start('asked');
    await trainer.delete(pod);
    const next = await serving([pod]);
    expect(existsSync(`/proc/${trainer.pid(next.pod)}`)).toBe(true);
    await expectConsistent(next.calls, 'deleted', uid);
    await expectConsistent(next.calls, 'asked', await uidOf('asked'));
  });

  it('is killed and its object deleted in mid-run: its successor waits until nobody can still be working, then goes on', async () => {
    const { pod, calls } = await serving();
    await calls.start('killed');
    await untilCommit('killed', 2);
    const uid = await uidOf('killed');
    process.kill(trainer.pid(pod), 'SIGKILL');
    await trainer.delete(pod);
    const next = await serving([pod]);
    await expectConsistent(next.calls, 'killed', uid);
  });

  it('works on beside its successor, which refuses and says who works, and takes over when it is killed', async () => {
    const { pod, calls } = await serving();
    await calls.start('shared');
    await untilCommit('shared', 1);
    const pid = trainer.pid(pod);
    await trainer.forget(pod);
    const second = await trainer.successor([pod]);
    const waiting = call(second.address);
    expect(await waiting.isServing()).toBe(false);
    for (const refused of [waiting.start('elsewhere'), waiting.cancel('shared'), waiting.run('shared')]) {
      await expect(refused).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringMatching(/works on the runs \(Lease 'trainer' of namespace kindred\).*call/) as string,
      });
    }
    // The first one's is still the only word, and what is asked of it then is not lost.
    await calls.start('late');
    await calls.untilState('late', [RUNNING]);
    const uids = { shared: await uidOf('shared'), late: await uidOf('late') };
    process.kill(pid, 'SIGKILL');
    await untilServing(waiting);
    await expect(waiting.run('elsewhere')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    for (const [runId, uid] of Object.entries(uids)) await expectConsistent(waiting, runId, uid);
  });

  it('is frozen until another has taken its turn: woken, it ends and changes nothing', async () => {
    const { pod, calls } = await serving();
    await calls.start('frozen');
    await untilCommit('frozen', 1);
    const uid = await uidOf('frozen');
    const pid = trainer.pid(pod);
    process.kill(pid, 'SIGSTOP');
    await trainer.forget(pod);
    const next = await serving([pod]);
    const woken = calls.start('woken').catch((thrown: unknown) => thrown);
    process.kill(pid, 'SIGCONT');
    await until(async () => !existsSync(`/proc/${pid}`), 'the woken trainer has ended');
    expect(await woken).toMatchObject({ code: 'UNAVAILABLE' });
    await expectConsistent(next.calls, 'frozen', uid);
    await expect(next.calls.run('woken')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

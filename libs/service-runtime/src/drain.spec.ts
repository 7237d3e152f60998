// The end of a real process under load: nothing that was accepted is lost, the rest finds the other replica.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { isKindredError } from '@kindred/errors';
import { TrainingServiceDefinition } from '@kindred/protocol/training';
import { afterEach, describe, expect, it } from 'vitest';
import { HealthDefinition, connect, createPeerPolicy, openClient } from './index.js';

const children: ChildProcess[] = [];
const open: { close(): void }[] = [];
afterEach(() => {
  for (const connection of open.splice(0)) connection.close();
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

interface Replica {
  readonly address: string;
  /** SIGTERM; how the process ended, and how many calls it has answered. */
  end(): Promise<{ code: number | null; served: number }>;
}

async function launch(environment: Record<string, string> = {}): Promise<Replica> {
  const child = fork(fileURLToPath(new URL('./spec/slow-service.ts', import.meta.url)), {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: { ...process.env, KINDRED_TRAINER_PORT: '0', KINDRED_TRAINER_METRICS_PORT: '0', ...environment },
  });
  children.push(child);
  const [{ address }] = (await once(child, 'message')) as [{ address: string }];
  return {
    address,
    async end() {
      let served = -1;
      child.on('message', (message: { kind: string; served: number }) => {
        if (message.kind === 'served') served = message.served;
      });
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      const [code] = (await exit) as [number | null];
      return { code, served };
    },
  };
}

function clientOf(address: string) {
  const connection = connect(TrainingServiceDefinition, { service: 'trainer', address, security: openClient });
  open.push(connection);
  return connection.client;
}

/** Calls from several callers at a time until told to stop; counts answers and gathers errors. */
function load(call: (runId: string) => Promise<unknown>, callers = 16) {
  const counted = { answers: 0, errors: [] as unknown[] };
  let stopped = false;
  const running = Array.from({ length: callers }, async (_, caller) => {
    for (let i = 0; !stopped; i++) {
      await call(`${caller}-${i}`).then(
        () => counted.answers++,
        (thrown: unknown) => counted.errors.push(thrown),
      );
    }
  });
  return {
    counted,
    async reached(answers: number) {
      while (counted.answers < answers) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    async stop() {
      stopped = true;
      await Promise.all(running);
      return counted;
    },
  };
}

describe('SIGTERM under load', { timeout: 120_000 }, () => {
  it('fails no call while another replica takes over', async () => {
    const [leaving, staying] = await Promise.all([launch(), launch()]);
    const client = clientOf(`ipv4:${leaving.address},${staying.address}`);
    const policy = createPeerPolicy({ service: 'trainer' });
    const work = load((runId) => policy.call(() => client.getRun({ runId })));
    await work.reached(200);
    const left = await leaving.end();
    const during = work.counted.answers;
    await work.reached(during + 200);
    const { answers, errors } = await work.stop();
    expect(errors).toEqual([]);
    expect(left.code).toBe(0);
    const stayed = await staying.end();
    // Every answer was given once: nothing was done twice, nothing done in vain.
    expect(left.served + stayed.served).toBe(answers);
    expect(left.served).toBeGreaterThan(0);
  });

  it('answers what it has accepted, and turns the rest away as UNAVAILABLE', async () => {
    const replica = await launch();
    const client = clientOf(replica.address);
    const work = load((runId) => client.getRun({ runId }));
    await work.reached(100);
    const { code, served } = await replica.end();
    const { answers, errors } = await work.stop();
    expect(code).toBe(0);
    expect(answers).toBe(served);
    expect(errors.filter((error) => !isKindredError(error, 'UNAVAILABLE'))).toEqual([]);
  });

  it('says NOT_SERVING before it turns a call away', async () => {
    const replica = await launch({ KINDRED_DRAIN_DELAY_MS: '2000' });
    const health = connect(HealthDefinition, { service: 'trainer', address: replica.address, security: openClient });
    open.push(health);
    const client = clientOf(replica.address);
    await client.getRun({});
    const states: number[] = [];
    const ended = replica.end();
    for await (const { status } of health.client.watch({ service: '' })) {
      states.push(status);
      // NOT_SERVING: calls still succeed, so that balancers have time to hear of it.
      if (status === 2) {
        expect((await client.getRun({ runId: 'late' })).run?.runId).toBe('late');
        break;
      }
    }
    expect(states.at(-1)).toBe(2);
    expect((await ended).code).toBe(0);
  });

  it('moves clients off old connections without a failed call', async () => {
    const replica = await launch({
      KINDRED_MAX_CONNECTION_AGE_MS: '300',
      KINDRED_MAX_CONNECTION_AGE_GRACE_MS: '60000',
    });
    const client = clientOf(replica.address);
    const policy = createPeerPolicy({ service: 'trainer' });
    const work = load((runId) => policy.call(() => client.getRun({ runId })), 8);
    await work.reached(400);
    const { errors } = await work.stop();
    expect(errors).toEqual([]);
    expect((await replica.end()).code).toBe(0);
  });
});

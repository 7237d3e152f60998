// Real child processes, with stand-ins for the services.
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { dataFolder, readServicesRecord } from './data-folder.js';
import { writeFakeBundles } from './fake-bundles.js';
import { createHealthMonitor } from './health-monitor.js';
import type { ServiceChange } from './service-process.js';
import type { ServiceName } from '@kindred/service-runtime';
import { portsFrom, startServices, type Supervisor, type SupervisorOptions } from './supervisor.js';

const running: Supervisor[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((supervisor) => supervisor.stop()));
});

async function start(options: Partial<SupervisorOptions> = {}) {
  const root = temporaryFolder();
  const folder = dataFolder(join(root, 'data'));
  const changes: ServiceChange[] = [];
  const supervisor = await startServices({
    folder,
    ports: portsFrom(0),
    bundles: writeFakeBundles(join(root, 'bundles')),
    command: 'spec',
    onChange: (change) => changes.push(change),
    ...options,
  });
  running.push(supervisor);
  return { supervisor, folder, changes };
}

async function until(holds: () => boolean, timeoutMs = 45_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function pidOf(supervisor: Supervisor, name: ServiceName): number {
  const pid = supervisor.records()[name]?.pid;
  if (typeof pid !== 'number') throw new Error(`${name} does not run`);
  return pid;
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('supervisor', () => {
  it('starts all, tells others of them, and drains all', async () => {
    const { supervisor, folder } = await start();
    const records = Object.values(supervisor.records());
    expect(records.map(({ state }) => state)).toEqual(['running', 'running', 'running', 'running']);
    expect(await readServicesRecord(folder)).toEqual({
      pid: process.pid,
      store: folder.artifacts,
      services: supervisor.records(),
    });
    await expect(
      startServices({ folder, ports: portsFrom(0), bundles: '/nowhere', command: 'second' }),
    ).rejects.toMatchObject({ code: 'FAILED_PRECONDITION', message: expect.stringContaining('already') });

    await supervisor.stop();
    expect(records.map(({ pid }) => isAlive(pid ?? 0))).toEqual([false, false, false, false]);
    expect(await readServicesRecord(folder)).toBeNull();
    expect(readFileSync(folder.logFile('trainer'), 'utf8')).toContain('"msg":"drained"');
  });

  it('names a service that dies and starts it again at the same address', async () => {
    const { supervisor, changes, folder } = await start({ names: ['neighbor-index', 'data-augmentation'] });
    const before = supervisor.records()['neighbor-index'];
    process.kill(pidOf(supervisor, 'neighbor-index'), 'SIGKILL');
    await until(() => changes.some(({ kind }) => kind === 'died'));
    const died = changes.find(({ kind }) => kind === 'died');
    expect(died).toMatchObject({ name: 'neighbor-index', reason: 'signal SIGKILL', restartInMs: 500 });
    expect(died?.kind === 'died' && died.lastLines).toContain('listening');

    await until(() => changes.some((change) => change.kind === 'ready' && change.restarted));
    const after = supervisor.records()['neighbor-index'];
    expect(after).toMatchObject({ address: before?.address, metricsAddress: before?.metricsAddress, state: 'running' });
    expect(after?.pid).not.toBe(before?.pid);
    await until(() => readFileSync(folder.servicesFile, 'utf8').includes(String(after?.pid)));
  });

  it('says which port is in use', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    await expect(start({ names: ['trainer'], ports: () => ({ port, metricsPort: 0 }) })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining(`port ${port} (trainer)`),
    });
    taken.close();
  });

  it('says why a service does not start, and leaves nothing behind', async () => {
    process.env['KINDRED_DRAIN_MS'] = 'soon';
    try {
      await expect(start({ names: ['trainer'] })).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringMatching(/trainer did not start \(exit code 1\)[^]*KINDRED_DRAIN_MS/),
      });
    } finally {
      delete process.env['KINDRED_DRAIN_MS'];
    }
  });

  it('says how to build a bundle that is missing', async () => {
    await expect(start({ bundles: '/nowhere' })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('npm run build'),
    });
  });
});

describe('health monitor', () => {
  it('names a silent service, killed or frozen, and its return', async () => {
    const { supervisor } = await start({ names: ['neighbor-index'] });
    const { address = '' } = supervisor.records()['neighbor-index'] ?? {};
    const seen: string[] = [];
    const monitor = createHealthMonitor({
      addresses: { 'neighbor-index': address },
      intervalMs: 200,
      onChange: (service, healthy) => seen.push(`${service} ${healthy}`),
    });
    try {
      await monitor.untilHealthy(30_000, new AbortController().signal);
      process.kill(pidOf(supervisor, 'neighbor-index'), 'SIGKILL');
      await until(() => seen.length === 2);
      const pid = pidOf(supervisor, 'neighbor-index');
      process.kill(pid, 'SIGSTOP');
      await until(() => seen.length === 3);
      await expect(monitor.untilHealthy(100, new AbortController().signal)).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringContaining('neighbor-index'),
      });
      process.kill(pid, 'SIGCONT');
      await until(() => seen.length === 4);
      expect(seen).toEqual(['false', 'true', 'false', 'true'].map((state) => `neighbor-index ${state}`));
    } finally {
      monitor.close();
    }
  });
});

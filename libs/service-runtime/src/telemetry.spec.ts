import { TrainingServiceDefinition } from '@kindred/protocol/training';
import { startTraceReceiver, type ReceivedSpan } from '@kindred/testing/traces';
import { afterEach, describe, expect, it } from 'vitest';
import {
  connect,
  createJobs,
  currentCall,
  openClient,
  startService,
  startTelemetry,
  withSpan,
  type CallScope,
} from './index.js';
import { collectedLog, trainingHandlers } from './spec/training-stand-in.js';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

async function start(handlers: Parameters<typeof trainingHandlers>[0]) {
  const log = collectedLog();
  const service = await startService({
    name: 'trainer',
    network: { host: '127.0.0.1', port: 0, metricsPort: 0, drainMs: 100, maxConnectionAgeMs: 0, accessLog: true },
    logger: log.logger,
    register: (registrar) => registrar.add(TrainingServiceDefinition, trainingHandlers(handlers)),
  });
  const { client, close } = connect(TrainingServiceDefinition, {
    service: 'trainer',
    address: service.address,
    security: openClient,
  });
  open.push(service, { close });
  return { client, log };
}

const rpc = 'kindred.training.v1.TrainingService';

describe('traces', () => {
  it('are one from the first client to the last service, with ids in the log', async () => {
    const receiver = await startTraceReceiver();
    open.push(receiver);
    process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = receiver.endpoint;
    const telemetry = await startTelemetry('test');
    const inner = await start({
      async *watchRun() {
        yield { content: { $case: 'event' as const, value: { number: 1n } } };
        await Promise.resolve();
        yield { content: { $case: 'event' as const, value: { number: 2n } } };
      },
    });
    const outer = await start({
      async getRun({ runId }) {
        await Promise.resolve();
        for await (const _ of inner.client.watchRun({ runId }));
        outer.log.logger.info('in the handler');
        return { run: { runId } };
      },
    });
    const requestId = await withSpan('a command', async () => {
      await outer.client.getRun({ runId: 'r' });
      return outer.log.lines().find(({ msg }) => msg === 'in the handler')?.['requestId'];
    });
    await telemetry?.close();
    delete process.env['OTEL_EXPORTER_OTLP_ENDPOINT'];

    const chain: ReceivedSpan[] = [];
    for (let parent = ''; ;) {
      const next = receiver.spans.filter(({ parentSpanId }) => parentSpanId === parent);
      if (next.length === 0) break;
      expect(next).toHaveLength(1);
      chain.push(next[0] as ReceivedSpan);
      parent = (next[0] as ReceivedSpan).spanId;
    }
    expect(chain.map(({ name, kind }) => `${kind} ${name}`)).toEqual([
      'internal a command',
      `client ${rpc}/GetRun`,
      `server ${rpc}/GetRun`,
      `client ${rpc}/WatchRun`,
      `server ${rpc}/WatchRun`,
    ]);
    expect(new Set(receiver.spans.map(({ traceId }) => traceId)).size).toBe(1);
    expect(chain[2]).toMatchObject({
      service: 'kindred-test',
      attributes: {
        'rpc.system.name': 'grpc',
        'rpc.method': `${rpc}/GetRun`,
        'rpc.response.status_code': 'OK',
        'network.peer.address': '127.0.0.1',
        'kindred.request_id': requestId,
      },
    });
    expect(chain[1]?.attributes).toMatchObject({
      'server.address': '127.0.0.1',
      'server.port': expect.any(Number) as number,
    });
    const traceId = chain[0]?.traceId;
    for (const { log } of [outer, inner])
      expect(log.lines()).toContainEqual(expect.objectContaining({ msg: 'call', code: 'OK', requestId, traceId }));
  });

  it('are off, and nothing of the SDK runs, unless a receiver is named', async () => {
    expect(await startTelemetry('test', {})).toBe(null);
    const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' };
    expect(await startTelemetry('test', { ...endpoint, OTEL_SDK_DISABLED: 'true' })).toBe(null);
    await expect(startTelemetry('test', { ...endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});

describe('the log', () => {
  it('has no word of what a request or an answer says, at its most talkative, and a line for each call', async () => {
    const secret = 'payload-of-the-request';
    const { client, log } = await start({
      getRun: ({ runId }) => Promise.resolve({ run: { runId, error: runId } }),
      startRun: () => Promise.reject(new TypeError('a fault of ours')),
      cancelRun: () => new Promise(() => {}),
    });
    await client.getRun({ runId: secret }, { metadata: undefined });
    await client.startRun({ runId: secret, experiment: secret }).catch(() => {});
    const abort = new AbortController();
    const cancelled = client.cancelRun({ runId: secret }, { signal: abort.signal }).catch(() => {});
    setTimeout(() => abort.abort(), 200);
    await cancelled;
    const calls = log.lines().filter(({ msg }) => msg === 'call');
    expect(calls.map(({ rpc: path, code }) => `${String(path).split('/')[2]} ${String(code)}`)).toEqual(
      expect.arrayContaining(['GetRun OK', 'StartRun INTERNAL']),
    );
    expect(log.text()).not.toContain(secret);
  });

  it('keeps a caller from writing into it by its request id', async () => {
    const { client, log } = await start({ getRun: () => Promise.resolve({}) });
    const { Metadata } = await import('nice-grpc-common');
    await client.getRun({}, { metadata: Metadata({ 'x-request-id': 'good-id.1' }) });
    await client.getRun({}, { metadata: Metadata({ 'x-request-id': '{"level":60} forged' }) });
    const ids = log.lines().flatMap(({ msg, requestId }) => (msg === 'call' ? [String(requestId)] : []));
    expect(ids).toEqual(['good-id.1', expect.stringMatching(/^[0-9a-f-]{36}$/)]);
  });
});

describe('jobs', () => {
  it('keep the id of the request that starts them, and are not bound by its deadline', async () => {
    const jobs = createJobs<{ scope?: unknown }>('job', 1);
    open.push(jobs);
    let inCall: CallScope | undefined;
    let inJob: CallScope | undefined;
    const { client } = await start({
      getRun: async () => {
        inCall = currentCall();
        const { id } = jobs.start({}, async () => {
          await Promise.resolve();
          inJob = currentCall();
        });
        for await (const _ of jobs.watch(id, new AbortController().signal));
        return {};
      },
    });
    await client.getRun({}, { deadlineMs: 30_000 });
    expect(inCall).toMatchObject({ rpc: `/${rpc}/GetRun` });
    expect(inCall?.deadlineMs).toBeLessThan(Date.now() + 30_000);
    expect(inJob).toEqual({ ...inCall, deadlineMs: Infinity });
  });
});

// Calls that are refused for want of room: before their messages are read, with a time to come back, and only where it is asked for.
import { EventEmitter, once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { join } from 'node:path';
import { TrainingServiceDefinition } from '@kindred/protocol/training';
import { temporaryFolder } from '@kindred/testing';
import { createCertificateAuthority } from '@kindred/testing/certificates';
import { createServer } from 'nice-grpc';
import { afterEach, describe, expect, it } from 'vitest';
import { callGate } from './call-gate.js';
import { connect, openClient, startService, type ClientSecurity, type ServerSecurity } from './index.js';
import type { Overload } from './refusals.js';
import { trainingHandlers, trainingRoles } from './spec/training-stand-in.js';

const folder = temporaryFolder('call-gate');
const getRun = '/kindred.training.v1.TrainingService/GetRun';
const full: Overload = { text: 'nothing fits', retryAfterMs: 1230 };
const refusal = { code: 'RESOURCE_EXHAUSTED', message: 'nothing fits', retryAfterMs: 1240 };
const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

/** A service with as much room as a test says, that notes what it is asked. */
async function start(security?: ServerSecurity, onDrain?: () => Promise<void>) {
  const state = { overload: null as Overload | null, asked: [] as string[], handled: [] as string[] };
  const service = await startService({
    name: 'trainer',
    network: { host: '127.0.0.1', port: 0, metricsPort: 0, drainMs: 100, maxConnectionAgeMs: 0, security },
    register: (registrar) =>
      registrar.add(
        TrainingServiceDefinition,
        trainingHandlers({
          getRun: async ({ runId }) => {
            state.handled.push(runId ?? '');
            return { run: { runId } };
          },
        }),
        trainingRoles,
      ),
    overloaded(path) {
      state.asked.push(path);
      return state.overload;
    },
    onDrain,
  });
  open.push(service);
  return { service, state };
}

function clientOf(address: string, security: Partial<ClientSecurity> = {}) {
  const connection = connect(TrainingServiceDefinition, {
    service: 'trainer',
    address,
    security: { ...openClient, ...security },
  });
  open.push(connection);
  return connection.client;
}

describe('a service without room', () => {
  it('refuses calls without a word to their handlers, and asks once a call', async () => {
    const { service, state } = await start();
    const client = clientOf(service.address);
    await client.getRun({ runId: 'first' });
    state.overload = full;
    // Twice: what is sent is made once.
    for (let i = 0; i < 2; i++) await expect(client.getRun({ runId: 'refused' })).rejects.toMatchObject(refusal);
    const metrics = await (await fetch(`http://${service.metricsAddress}/metrics`)).text();
    expect(metrics).toMatch(/kindred_server_refused_calls_total\{[^}]*grpc_method="GetRun",reason="OVERLOADED"\} 2/);
    state.overload = null;
    await client.getRun({ runId: 'last' });
    expect(state.handled).toEqual(['first', 'last']);
    expect(state.asked).toEqual(Array(4).fill(getRun));
  });

  it('refuses a message of many windows on a connection that goes on', async () => {
    const { service, state } = await start();
    const client = clientOf(service.address);
    state.overload = full;
    for (let i = 0; i < 3; i++)
      await expect(client.getRun({ runId: 'x'.repeat(2 ** 21) })).rejects.toMatchObject(refusal);
    state.overload = null;
    await client.getRun({ runId: 'last' });
    expect(state.handled).toEqual(['last']);
  });

  it('refuses over TLS as well, and who has no token or not the role hears that, not of room', async () => {
    const authority = await createCertificateAuthority(join(folder, 'authority'));
    const token = 'reader-'.padEnd(40, 'r');
    const [accessFile, tokenFile] = [join(folder, 'access'), join(folder, 'token')];
    writeFileSync(accessFile, `reader read ${token}\n`);
    writeFileSync(tokenFile, `${token}\n`);
    const { service, state } = await start({ ...(await authority.issue('trainer')), clientCaFile: null, accessFile });
    const tls = { tls: true, caFile: authority.caFile };
    const reader = clientOf(service.address, { ...tls, tokenFile });
    state.overload = full;
    await expect(clientOf(service.address, tls).getRun({})).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await expect(reader.cancelRun({})).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(state.asked).toEqual([]);
    await expect(reader.getRun({})).rejects.toMatchObject(refusal);
    state.overload = null;
    await reader.getRun({ runId: 'in' });
    expect(state.handled).toEqual(['in']);
  });

  it('says that it ends, not that it is full, while it ends', async () => {
    const moments = new EventEmitter();
    const [drains, isSeen] = [once(moments, 'drains'), once(moments, 'seen')];
    const { service, state } = await start(undefined, async () => {
      moments.emit('drains');
      await isSeen;
    });
    const client = clientOf(service.address);
    await client.getRun({ runId: 'before' });
    state.overload = full;
    const closed = service.close();
    await drains;
    await expect(client.getRun({ runId: 'late' })).rejects.toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: 500 });
    moments.emit('seen');
    await closed;
    expect(state.handled).toEqual(['before']);
    expect(state.asked).toEqual([getRun]);
  });

  it('refuses all the same where streams do not come by the gate', async () => {
    const roles = new Map([[getRun, 'read']] as const);
    const gate = callGate({ access: null, roles, draining: new AbortController().signal, overloaded: () => full });
    const server = createServer({ interceptors: [gate.interceptor] });
    server.add(TrainingServiceDefinition, trainingHandlers({}));
    const port = await server.listen('127.0.0.1:0');
    open.push({ close: () => server.forceShutdown() });
    await expect(clientOf(`127.0.0.1:${port}`).getRun({})).rejects.toMatchObject(refusal);
  });

  it('leaves what is no gRPC to grpc-js', async () => {
    const { service, state } = await start();
    state.overload = full;
    const session = connectHttp2(`http://${service.address}`);
    open.push({ close: () => session.close() });
    const stream = session.request({ ':method': 'POST', ':path': getRun, 'content-type': 'text/plain' });
    stream.end();
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    expect(headers[':status']).toBe(415);
    expect(state.asked).toEqual([]);
  });
});

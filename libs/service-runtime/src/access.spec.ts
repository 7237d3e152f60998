import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TrainingServiceDefinition } from '@kindred/protocol/training';
import { temporaryFolder } from '@kindred/testing';
import { createChannel, createClient } from 'nice-grpc';
import { HealthDefinition } from 'nice-grpc-server-health';
import { Metadata } from 'nice-grpc-common';
import { afterEach, describe, expect, it } from 'vitest';
import { parseAccessFile } from './access.js';
import { clientCredentials } from './client-security.js';
import { connect, networkFields, openClient, readConfig, startService, type RpcRoles } from './index.js';
import { collectedLog, trainingHandlers, trainingRoles } from './spec/training-stand-in.js';

const folder = temporaryFolder('access');
const tokens = {
  reader: 'reader-'.padEnd(40, 'r'),
  writer: 'writer-'.padEnd(40, 'w'),
  admin: 'admin-'.padEnd(40, 'a'),
};
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const file = join(folder, 'access');
const tokenFile = (name: string, token: string): string => {
  const path = join(folder, `token-${name}`);
  writeFileSync(path, `${token}\n`);
  return path;
};
const everyone = [
  '# who            role  token',
  `reader           serve ${tokens.reader}   # an application`,
  `writer@example   write sha256:${sha256(tokens.writer)}`,
  `admin            admin ${tokens.admin}`,
].join('\n');

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

async function start(roles: RpcRoles<typeof TrainingServiceDefinition> | undefined = trainingRoles) {
  const log = collectedLog();
  writeFileSync(file, everyone);
  const answer = (): Promise<object> => Promise.resolve({});
  const service = await startService({
    name: 'trainer',
    network: {
      host: '127.0.0.1',
      port: 0,
      metricsPort: 0,
      drainMs: 1000,
      maxConnectionAgeMs: 0,
      accessLog: true,
      security: { certFile: null, keyFile: null, clientCaFile: null, accessFile: file },
    },
    logger: log.logger,
    register: (registrar) =>
      registrar.add(
        TrainingServiceDefinition,
        trainingHandlers({ getRun: answer, listRuns: answer, resumeRun: answer, cancelRun: answer }),
        roles,
      ),
  });
  open.push(service);
  return { service, log };
}

function clientWith(address: string, token: string | null) {
  const connection = connect(TrainingServiceDefinition, {
    service: 'trainer',
    address,
    security: { ...openClient, tokenFile: token === null ? null : tokenFile(sha256(token), token) },
  });
  open.push(connection);
  return connection.client;
}

describe('access', () => {
  it('lets each role do its own and no more, and says what is missing', async () => {
    const { service, log } = await start();
    const calls = { read: 'getRun', write: 'resumeRun', admin: 'cancelRun' } as const;
    const allowed = { reader: ['read'], writer: ['read', 'write'], admin: ['read', 'write', 'admin'] };
    for (const [who, may] of Object.entries(allowed)) {
      const client = clientWith(service.address, tokens[who as keyof typeof tokens]);
      for (const [role, call] of Object.entries(calls)) {
        const answer = client[call]({ runId: 'r' });
        if (may.includes(role)) await answer;
        else
          await expect(answer).rejects.toMatchObject({
            code: 'PERMISSION_DENIED',
            message: expect.stringMatching(new RegExp(`role ${role};.*${who}`)) as string,
          });
      }
    }
    for (const token of [null, 'wrong'.padEnd(40, '-'), `${tokens.admin}x`]) {
      const client = clientWith(service.address, token);
      await expect(client.getRun({})).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
      await client.listRuns({});
    }
    const text = log.text();
    expect(log.lines()).toContainEqual(expect.objectContaining({ caller: 'writer@example', code: 'OK' }));
    for (const token of Object.values(tokens)) expect(text).not.toContain(token);
  });

  it('answers health without a token, and refuses what is no token', async () => {
    const { service } = await start();
    const channel = createChannel(service.address);
    open.push(channel);
    expect((await createClient(HealthDefinition, channel).check({ service: '' })).status).toBe(1);
    const client = createClient(TrainingServiceDefinition, channel);
    for (const authorization of ['', 'Bearer', `Basic ${tokens.admin}`, `Bearer ${tokens.admin} more`])
      await expect(client.getRun({}, { metadata: Metadata({ authorization }) }), authorization).rejects.toMatchObject({
        code: 16,
      });
  });

  it('follows the file: a token that leaves it is refused, a broken file changes nothing', async () => {
    const { service, log } = await start();
    const reader = clientWith(service.address, tokens.reader);
    await reader.getRun({});
    writeFileSync(file, `${everyone}\nshort read abc`);
    await service.reload();
    await reader.getRun({});
    expect(log.lines()).toContainEqual(
      expect.objectContaining({ reason: expect.stringContaining('line 5') as string }),
    );
    writeFileSync(file, `writer write ${tokens.writer}`);
    await service.reload();
    await expect(reader.getRun({})).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await clientWith(service.address, tokens.writer).resumeRun({});
  });

  it('does not start while an RPC has no role', async () => {
    const { getRun: _, ...others } = trainingRoles;
    const failure = { code: 'FAILED_PRECONDITION', message: expect.stringContaining('getRun') as string };
    await expect(start(others as typeof trainingRoles)).rejects.toMatchObject(failure);
    await expect(start({ ...trainingRoles, dance: 'read' } as typeof trainingRoles)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('dance') as string,
    });
  });

  it.each([
    ['two words', 'reader read'],
    ['an unknown role', `reader owner ${tokens.reader}`],
    ['a short token', 'reader read 0123456789'],
    ['half a hash', 'reader read sha256:0123'],
    ['a name twice', `a read ${tokens.reader}\na read ${tokens.admin}`],
    ['a token twice', `a read ${tokens.reader}\nb read sha256:${sha256(tokens.reader)}`],
  ])('refuses a file with %s, and does not repeat the token', (_, text) => {
    let message = '';
    try {
      parseAccessFile(text, 'access');
    } catch (thrown) {
      message = String(thrown);
    }
    expect(message).toMatch(/access, line [12]/);
    for (const token of Object.values(tokens)) expect(message).not.toContain(token);
  });
});

describe('tokens in plain sight', () => {
  const security = { ...openClient, tokenFile: tokenFile('own', tokens.reader) };

  it.each([
    '192.0.2.1:50051',
    'dns:///embedding.kindred:50053',
    'ipv4:127.0.0.1:1,10.0.0.1:2',
    'localhost.evil.example:1',
  ])('are not sent to %s', (address) => {
    expect(() => clientCredentials(security, address)).toThrow(
      expect.objectContaining({ code: 'FAILED_PRECONDITION' }) as Error,
    );
    expect(clientCredentials({ ...security, plaintextTokens: true }, address).token()).toBe(tokens.reader);
    expect(clientCredentials({ ...security, tls: true }, address).token()).toBe(tokens.reader);
  });

  it.each(['127.0.0.1:1', 'localhost:1', '[::1]:1', 'dns:///localhost:1', 'ipv4:127.0.0.1:1,127.0.0.2:2', 'unix:/s'])(
    'stay on the machine at %s',
    (address) => {
      expect(clientCredentials(security, address).token()).toBe(tokens.reader);
    },
  );

  it('are not asked for by a server that others can listen to', () => {
    const { schema, read } = networkFields('trainer');
    const settings = { KINDRED_TRAINER_HOST: '0.0.0.0', KINDRED_ACCESS_FILE: file };
    expect(() => read(readConfig(settings, schema))).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        violations: [expect.objectContaining({ field: 'KINDRED_ACCESS_FILE' })],
      }) as Error,
    );
    expect(read(readConfig({ ...settings, KINDRED_PLAINTEXT_TOKENS: '1' }, schema)).security?.accessFile).toBe(file);
  });
});

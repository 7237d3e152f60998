// TLS judged by Node's own client: which certificate a new connection sees, and what goes on over an old one.
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as openTls } from 'node:tls';
import { readFileSync } from 'node:fs';
import { TrainingServiceDefinition } from '@kindred/protocol/training';
import { temporaryFolder } from '@kindred/testing';
import { createCertificateAuthority, type CertificateAuthority } from '@kindred/testing/certificates';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connect, openClient, startService, type ClientSecurity, type RunningService } from './index.js';
import { collectedLog, trainingHandlers, type CollectedLog } from './spec/training-stand-in.js';

const folder = temporaryFolder('certificates');
let authority: CertificateAuthority;
let stranger: CertificateAuthority;
const open: { close(): unknown }[] = [];

beforeAll(async () => {
  authority = await createCertificateAuthority(join(folder, 'authority'));
  stranger = await createCertificateAuthority(join(folder, 'stranger'));
});
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

async function start(files: { certFile: string; keyFile: string; clientCaFile?: string }, log: CollectedLog) {
  const service = await startService({
    name: 'trainer',
    network: {
      host: '127.0.0.1',
      port: 0,
      metricsPort: 0,
      drainMs: 2000,
      maxConnectionAgeMs: 0,
      security: { clientCaFile: null, accessFile: null, ...files },
    },
    logger: log.logger,
    register: (registrar) =>
      registrar.add(
        TrainingServiceDefinition,
        trainingHandlers({
          getRun: () => Promise.resolve({ run: { runId: 'r' } }),
          async *watchRun(_, { signal }) {
            for (let number = 1n; !signal.aborted; number++) {
              yield { content: { $case: 'event' as const, value: { number } } };
              await new Promise((resolve) => setTimeout(resolve, 20));
            }
          },
        }),
      ),
  });
  open.push(service);
  return service;
}

function clientOf({ address }: RunningService, security: Partial<ClientSecurity>) {
  const connection = connect(TrainingServiceDefinition, {
    service: 'trainer',
    address,
    security: { ...openClient, tls: true, caFile: authority.caFile, ...security },
  });
  open.push(connection);
  return connection.client;
}

/** What a new connection is shown. */
function shownFingerprint({ address }: RunningService): Promise<string> {
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    const socket = openTls(
      { host, port: Number(port), ca: readFileSync(authority.caFile), servername: 'localhost', ALPNProtocols: ['h2'] },
      () => {
        resolve(socket.getPeerCertificate().fingerprint256);
        socket.destroy();
      },
    );
    socket.on('error', reject);
  });
}

describe('TLS', () => {
  it('shows a replaced certificate to new connections while old streams go on', async () => {
    const issued = await authority.issue('replaced');
    const log = collectedLog();
    const service = await start(issued, log);
    const before = await shownFingerprint(service);
    const stream = clientOf(service, {}).watchRun({ runId: 'r' })[Symbol.asyncIterator]();
    expect((await stream.next()).done).toBe(false);

    await authority.issue('replaced');
    await service.reload();

    const after = await shownFingerprint(service);
    expect(after).not.toBe(before);
    expect(log.lines()).toContainEqual(expect.objectContaining({ fingerprint: after }));
    for (let i = 0; i < 5; i++) expect((await stream.next()).done).toBe(false);
    // Another set of options, so that this client has a connection of its own.
    expect((await clientOf(service, { serverName: 'localhost' }).getRun({})).run?.runId).toBe('r');
    await stream.return?.();
  });

  it('goes on with the certificate before a broken one, and says so', async () => {
    const issued = await authority.issue('broken');
    const other = await authority.issue('other');
    const log = collectedLog();
    const service = await start(issued, log);
    const before = await shownFingerprint(service);

    writeFileSync(issued.certFile, '-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n');
    await service.reload();
    copyFileSync(other.certFile, issued.certFile);
    await service.reload();

    expect(await shownFingerprint(service)).toBe(before);
    const reasons = log.lines().flatMap(({ reason }) => (reason === undefined ? [] : [String(reason)]));
    expect(reasons).toEqual([
      expect.stringMatching(/broken\.pem.* no certificate/),
      expect.stringMatching(/broken\.key.* not the key/),
    ]);
    copyFileSync(other.keyFile, issued.keyFile);
    await service.reload();
    expect(await shownFingerprint(service)).not.toBe(before);
  });

  it('lets a client in that shows a certificate of the authority, and no other', async () => {
    const service = await start(
      { ...(await authority.issue('mutual')), clientCaFile: authority.caFile },
      collectedLog(),
    );
    const known = await authority.issue('client');
    expect((await clientOf(service, known).getRun({})).run?.runId).toBe('r');
    for (const security of [{}, await stranger.issue('client')])
      await expect(clientOf(service, security).getRun({})).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('does not trust a server of another authority, or of another name', async () => {
    const service = await start(await authority.issue('server', ['kindred.example']), collectedLog());
    await expect(clientOf(service, {}).getRun({})).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect((await clientOf(service, { serverName: 'kindred.example' }).getRun({})).run?.runId).toBe('r');
    await expect(
      clientOf(service, { serverName: 'kindred.example', caFile: stranger.caFile }).getRun({}),
    ).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('does not start with files that cannot be used', async () => {
    const { certFile } = await authority.issue('one');
    const { keyFile } = await authority.issue('two');
    await expect(start({ certFile, keyFile }, collectedLog())).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      resource: { type: 'file', name: keyFile },
    });
    await expect(start({ certFile: join(folder, 'absent'), keyFile }, collectedLog())).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      resource: { type: 'file', name: join(folder, 'absent') },
    });
  });
});

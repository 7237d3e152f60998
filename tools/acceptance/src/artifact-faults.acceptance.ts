// Faults of the artifact store: whatever happens to MinIO and the way to it, objects stay whole and runs end as if nothing had been.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openStore, type ArtifactStore } from '@kindred/artifact-store';
import { TrainingServiceDefinition, type RunEvent } from '@kindred/protocol/training';
import { connect } from '@kindred/service-runtime';
import { eventContent, goProgram, startS3Server, temporaryFolder, type S3Server } from '@kindred/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRestartedService } from './restarted-service.js';
import { smallSettings } from './small-settings.js';
import { startToxiproxy, type Toxic, type Toxiproxy } from './toxiproxy.js';

const outageMs = Number(process.env['KINDRED_OUTAGE_MS'] ?? 60_000);
const runId = 'r1';
const settings = { epochs: '6', ...smallSettings };
/** Steps of the run after which MinIO goes down: one in mid-epoch, one that a checkpoint follows. */
const downInEpoch = 13;
const downInCheckpoint = 27;

const minio = await goProgram('minio');
const proxy = await goProgram('toxiproxy');

describe.skipIf(minio === null || proxy === null)('faults of the artifact store', () => {
  const folder = temporaryFolder('kindred-artifact-faults');
  let server: S3Server;
  let toxiproxy: Toxiproxy;
  beforeAll(async () => {
    server = await startS3Server({ kind: 'minio', program: minio ?? '', folder: join(folder, 'data') });
    server.makeBucket('artifacts');
    toxiproxy = await startToxiproxy(proxy ?? '', server.port);
  });
  afterAll(async () => {
    await toxiproxy?.stop();
    await server?.stop('SIGKILL');
  });
  const addressOf = (prefix: string, port = server.port): string =>
    `s3://artifacts/${prefix}?endpoint=http://127.0.0.1:${port}&part-mib=5&idle-seconds=5`;
  const open = (prefix: string, port?: number): Promise<ArtifactStore> =>
    openStore(addressOf(prefix, port), { environment: server.credentials, patienceMs: 120_000 });

  it(`a run goes on by itself over ${outageMs / 1000} s without MinIO, in mid-epoch and in a checkpoint`, async () => {
    const calm = await train(addressOf('calm'), server.credentials, async () => {});
    const disturbed = await train(addressOf('disturbed', toxiproxy.port), server.credentials, async (steps) => {
      if (steps === downInEpoch) await outage();
      if (steps !== downInCheckpoint) return;
      // Each reply takes so long that the checkpoint is on its way when the server dies.
      await toxiproxy.during({ type: 'latency', stream: 'downstream', attributes: { latency: 2_000 } }, async () => {
        await delay(1_000);
        const commit = join(server.folder, 'artifacts/disturbed/runs', runId, 'commits');
        expect(existsSync(commit)).toBe(true);
        expect(existsSync(join(commit, `${String(downInCheckpoint).padStart(12, '0')}.json`))).toBe(false);
        await server.stop('SIGKILL');
      });
      await delay(outageMs);
      await server.start();
    });
    expect(
      disturbed.notices.filter((notice) => notice.includes('waiting for the artifact store')).length,
    ).toBeGreaterThan(0);
    expect(disturbed.notices.filter((notice) => notice.includes('answers again')).length).toBeGreaterThan(0);
    expect(disturbed.events).toEqual(calm.events);
    const [before, after] = [await hashes(await open('calm')), await hashes(await open('disturbed'))];
    expect(before.size).toBeGreaterThan(3);
    expect(after).toEqual(before);
  });

  async function outage(): Promise<void> {
    await server.stop('SIGKILL');
    await delay(outageMs);
    await server.start();
  }

  it('MinIO killed in a multipart put leaves the old object whole, and the put goes on when it is back', async () => {
    const store = await open('killed');
    const old = await store.put('k', new Uint8Array(30_000_000).fill(1));
    let killed: Promise<void> | null = null;
    async function* content(): AsyncGenerator<Uint8Array> {
      for (let block = 0; block < 40; block++) {
        if (block === 20) {
          killed = server.stop('SIGKILL').then(() => server.start());
          await killed;
          // Half of the new object is there, in parts; readers see the old one.
          expect((await store.describe('k'))?.etag).toBe(old.etag);
          expect(sha256(await store.get('k'))).toBe(old.sha256);
        }
        yield new Uint8Array(1_000_000).fill(block);
      }
    }
    const { sha256: written } = await store.put('k', content());
    expect(sha256(await store.get('k'))).toBe(written);
    expect(killed).not.toBeNull();
  });

  it('a writer that gives up in a multipart put leaves the old object whole', async () => {
    const patient = await open('given-up');
    const old = await patient.put('k', new Uint8Array(30_000_000).fill(1));
    const hasty = await openStore(addressOf('given-up'), { environment: server.credentials, patienceMs: 0 });
    async function* content(): AsyncGenerator<Uint8Array> {
      for (let block = 0; block < 40; block++) {
        if (block === 20) await server.stop('SIGKILL');
        yield new Uint8Array(1_000_000).fill(block);
      }
    }
    await expect(hasty.put('k', content())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await server.start();
    expect(sha256(await patient.get('k'))).toBe(old.sha256);
  });

  const late: Toxic = { type: 'latency', stream: 'downstream', attributes: { latency: 300, jitter: 200 } };
  const small = { average_size: 4_000, size_variation: 2_000, delay: 10 };
  const sliced: Toxic = { type: 'slicer', stream: 'upstream', attributes: small };
  const limited = (stream: Toxic['stream']): Toxic => ({
    type: 'limit_data',
    stream,
    attributes: { bytes: 7_000_000 },
  });

  // The calm ones show that a connection which is not cut is not counted as cut.
  it.each<[string, Toxic, 'cut' | 'whole', 'cut' | 'whole']>([
    ['delayed', late, 'whole', 'whole'],
    ['cut into small pieces', sliced, 'whole', 'whole'],
    ['cut after some bytes of a put', limited('upstream'), 'cut', 'whole'],
    ['cut after some bytes of a get', limited('downstream'), 'whole', 'cut'],
  ])('puts and gets go over a connection that is %s', async (_, toxic, inPut, inGet) => {
    const store = await open('toxic', toxiproxy.port);
    // Ten parts on four connections: each connection carries more than the limit, and no part is as large as that.
    const bytes = new Uint8Array(50_000_000).map((__, index) => index % 253);
    await toxiproxy.during(toxic, async () => {
      const before = toxiproxy.opened();
      const { sha256: written } = await store.put('k', [bytes]);
      // What is cut on its way to the server is answered before it is closed. Each connection carried one whole part, so
      // that ten were needed; without a cut, one for each part that is on its way at a time, and that of the listing.
      const opened = toxiproxy.opened() - before;
      if (inPut === 'cut') expect(opened).toBeGreaterThanOrEqual(8);
      else expect(opened).toBeLessThanOrEqual(6);
      const between = toxiproxy.cuts();
      expect(sha256(await store.get('k'))).toBe(written);
      expect(toxiproxy.cuts() > between ? 'cut' : 'whole').toBe(inGet);
    });
  });

  it.each<[string, Toxic, 'cut' | 'silent']>([
    ['is reset', { type: 'reset_peer', stream: 'downstream', attributes: { timeout: 500 } }, 'cut'],
    ['goes silent', { type: 'timeout', stream: 'upstream', attributes: { timeout: 0 } }, 'silent'],
  ])('puts and gets wait while every connection %s', async (_, toxic, fate) => {
    const notices: string[] = [];
    const store = await openStore(addressOf('toxic-all', toxiproxy.port), {
      environment: server.credentials,
      patienceMs: 120_000,
      onNotice: (notice) => notices.push(notice),
    });
    await store.put('k', new Uint8Array(1));
    const bytes = new Uint8Array(16_000_000).map((__, index) => index % 253);
    const expectDisturbed = async (work: () => Promise<void>): Promise<void> => {
      const before = toxiproxy.cuts();
      notices.length = 0;
      let cuts = 0;
      let begin = (): void => {};
      const begun = new Promise<void>((resolve) => (begin = resolve));
      const disturbing = toxiproxy.during(toxic, async () => {
        begin();
        await delay(8_000);
        // What is cut when the toxic is taken away does not count.
        cuts = toxiproxy.cuts() - before;
      });
      await Promise.race([begun, disturbing]);
      await work();
      await disturbing;
      if (fate === 'cut') expect(cuts).toBeGreaterThan(0);
      // It was not the work of a moment without the toxic.
      expect(notices[0]).toMatch(/^waiting for the artifact store/);
      expect(notices.at(-1)).toMatch(/answers again/);
    };
    let written = '';
    await expectDisturbed(async () => {
      written = (await store.put('k', [bytes])).sha256;
    });
    await expectDisturbed(async () => expect(sha256(await store.get('k'))).toBe(written));
  });
});

/** Runs a training on the store from start to end; `onSteps` hears of each step that has ended, while the run goes on. */
async function train(
  store: string,
  credentials: Readonly<Record<string, string>>,
  onSteps: (steps: number) => Promise<void>,
): Promise<{ events: unknown[]; notices: string[] }> {
  const augmentation = await startRestartedService('data-augmentation', {});
  const trainer = await startRestartedService('trainer', {
    ...credentials,
    KINDRED_ARTIFACT_STORE: store,
    KINDRED_DATA_AUGMENTATION_ADDR: augmentation.address,
    KINDRED_TRAINER_THREADS: '1',
  });
  const { client, close } = connect(TrainingServiceDefinition, { service: 'trainer', address: trainer.address });
  const experiment = readFileSync(resolve(import.meta.dirname, '../../../configs/pretext/demo_drawn.yml'), 'utf8');
  const [events, notices]: [RunEvent[], string[]] = [[], []];
  const disturbances: Promise<void>[] = [];
  try {
    await client.startRun({ runId, experiment, overrides: settings, seed: 11n });
    let steps = 0;
    for await (const { content } of client.watchRun({ runId })) {
      if (content?.$case === 'notice') notices.push(content.value.message);
      if (content?.$case !== 'event') continue;
      events.push(content.value);
      if (content.value.kind?.$case === 'stepCompleted') disturbances.push(onSteps(++steps));
      if (content.value.kind?.$case === 'ended') expect(content.value.kind.value.failure).toBeUndefined();
    }
    await Promise.all(disturbances);
  } finally {
    close();
    await trainer.stop();
    await augmentation.stop();
  }
  return { events: events.map(eventContent), notices };
}

/** SHA-256 of the run's model and checkpoints, by key. */
async function hashes(store: ArtifactStore): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { key } of store.list(`runs/${runId}/`)) {
    if (key.endsWith('.safetensors')) found.set(key, sha256(await store.get(key)));
  }
  return found;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

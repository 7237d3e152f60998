// The whole way with the real four services as they are built: train on a few drawn images, lose the trainer, go on,
// find neighbours. Needs dist/, which this project's test target builds first.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeNpyAs } from '@kindred/formats';
import { Split } from '@kindred/protocol/augmentation';
import { EmbeddingServiceDefinition, JobState } from '@kindred/protocol/embedding';
import { Metadata, connect, openClient } from '@kindred/service-runtime';
import { temporaryFolder } from '@kindred/testing';
import { createCertificateAuthority } from '@kindred/testing/certificates';
import { startTraceReceiver } from '@kindred/testing/traces';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { dataFolder, readServicesRecord, workspaceFolder } from './data-folder.js';
import { killService, startProgram, type StartedProgram } from './started-program.js';
import { serviceNames } from './supervisor.js';

const program = join(workspaceFolder(), 'dist/tools/kindred/main.js');
const trainSize = 300;
const validationSize = 100;

beforeAll(() => {
  const bundles = [program, ...serviceNames.map((name) => join(workspaceFolder(), 'dist/services', name, 'main.js'))];
  const missing = bundles.filter((path) => !existsSync(path));
  if (missing.length > 0) throw new Error(`not built: ${missing.join(', ')}; run: npm run build`);
});

describe('the story of a run', () => {
  const data = join(temporaryFolder('kindred-story'), 'data');
  const kindred = (...words: string[]): StartedProgram =>
    startProgram(['--enable-source-maps', program], ['--data', data, ...words], { KINDRED_SERVICE_BUNDLES: '' });

  it('trains through the death of its trainer, embeds and mines', { timeout: 180_000 }, async () => {
    const settings = {
      epochs: '4',
      batch_size: '32',
      log_steps: '1',
      'model_kwargs.width': '4',
      'drawn_kwargs.train_size': String(trainSize),
      'drawn_kwargs.val_size': String(validationSize),
    };
    const words = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
    const file = join(workspaceFolder(), 'configs/pretext/demo_drawn.yml');
    const job = kindred('pretext', '--config-exp', file, '--run-id', 'story', ...words);
    // Two more epochs are to come: the kill is never too late, however quick the machine.
    await job.line(({ event, epoch }) => event === 'step' && epoch === 1);
    await killService(data, 'trainer');
    expect(await job.exit, job.words()).toBe(0);
    expect(job.words()).toContain('service trainer ended (signal SIGKILL)');

    const summary = job.lines.at(-1) as { artifacts: Record<string, string>; knnTop1PerEpoch: number[] };
    const percent = expect.closeTo(50, -2);
    expect(summary).toMatchObject({
      event: 'summary',
      runId: 'story',
      untrainedKnnTop1: percent,
      knnTop1: percent,
      neighborAccuracyTrain: percent,
      neighborAccuracyVal: percent,
    });
    expect(summary.knnTop1PerEpoch).toHaveLength(4);
    const npy = (name: string) => decodeNpyAs(readFileSync(summary.artifacts[name] ?? ''), 'i8', name);
    const train = npy('topk-train-neighbors.npy');
    expect(train.shape).toEqual([trainSize, 21]);
    expect(Array.from({ length: trainSize }, (_, row) => Number(train.data[row * 21]))).toEqual([
      ...Array(trainSize).keys(),
    ]);
    expect(npy('topk-val-neighbors.npy').shape).toEqual([validationSize, 6]);
    expect(existsSync(summary.artifacts['model.safetensors'] ?? '')).toBe(true);
    expect(existsSync(dataFolder(data).servicesFile)).toBe(false);
  });

  it('embeds an image and finds its neighbours', { timeout: 120_000 }, async () => {
    const up = kindred('up', '--port-base', '0');
    await up.line(({ event }) => event === 'ready');
    const image = join(data, 'query.png');
    const pixels = Buffer.from(Array.from({ length: 32 * 32 * 3 }, (_, i) => (i * 7) % 256));
    await sharp(pixels, { raw: { width: 32, height: 32, channels: 3 } })
      .png()
      .toFile(image);

    const embed = kindred('embed', '--model', 'story', image);
    expect(await embed.exit, embed.words()).toBe(0);
    const { vector } = embed.lines[0] as { vector: number[] };
    expect(vector).toHaveLength(128);
    expect(Math.hypot(...vector)).toBeCloseTo(1, 4);

    const neighbors = kindred('neighbors', '--model', 'story', image, '-k', '5');
    expect(await neighbors.exit, neighbors.words()).toBe(0);
    const found = (neighbors.lines.at(-1) as { neighbors: Array<{ id: number; score: number; className: string }> })
      .neighbors;
    expect(found).toHaveLength(5);
    expect(found.map(({ score }) => score)).toEqual(found.map(({ score }) => score).sort((a, b) => b - a));
    for (const { id, className } of found) {
      expect(id).toBeLessThan(trainSize);
      expect(className).toMatch(/^[a-z]/);
    }

    const unknown = kindred('embed', '--model', 'nobody', image);
    expect(await unknown.exit).toBe(2);
    expect(unknown.words()).toContain('nobody');

    const runs = kindred('runs');
    expect(await runs.exit, runs.words()).toBe(0);
    expect(runs.lines.at(-1)).toMatchObject({
      runs: [{ runId: 'story', state: 'succeeded', attempts: 2, epochsCompleted: 4 }],
    });
    up.child.kill('SIGINT');
    expect(await up.exit).toBe(0);
  });

  it('does it over TLS, with certificates on both sides, tokens and traces', { timeout: 120_000 }, async () => {
    const receiver = await startTraceReceiver();
    const secrets = temporaryFolder('kindred-secrets');
    const authority = await createCertificateAuthority(secrets);
    const [server, client] = [await authority.issue('server'), await authority.issue('client')];
    const tokens = { app: 'a'.repeat(40), peer: 'p'.repeat(40), watcher: 'w'.repeat(40) };
    const tokenFile = (name: keyof typeof tokens): string => join(secrets, `${name}.token`);
    for (const [name, token] of Object.entries(tokens)) writeFileSync(join(secrets, `${name}.token`), token);
    const access = join(secrets, 'access');
    writeFileSync(access, `app write ${tokens.app}\npeer write ${tokens.peer}\nwatcher read ${tokens.watcher}\n`);
    const options = ['--ca-file', authority.caFile, '--client-cert', client.certFile, '--client-key', client.keyFile];
    const up = startProgram(
      ['--enable-source-maps', program],
      ['--data', data, ...options, '--token-file', tokenFile('peer'), 'up', '--port-base', '0'],
      {
        KINDRED_SERVICE_BUNDLES: '',
        KINDRED_TLS_CERT_FILE: server.certFile,
        KINDRED_TLS_KEY_FILE: server.keyFile,
        KINDRED_TLS_CLIENT_CA_FILE: authority.caFile,
        KINDRED_ACCESS_FILE: access,
        KINDRED_ACCESS_LOG: '1',
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
      },
    );
    await up.line(({ event }) => event === 'ready');
    const image = join(data, 'query.png');
    const run = async (...words: string[]) => {
      const started = kindred(...words);
      return { code: await started.exit, words: started.words(), last: started.lines.at(-1) };
    };

    const app = [...options, '--token-file', tokenFile('app')];
    expect(await run(...app, 'neighbors', '--model', 'story', image, '-k', '5')).toMatchObject({
      code: 0,
      last: { neighbors: { length: 5 } },
    });
    expect(await run(...app, 'runs')).toMatchObject({ code: 0, last: { runs: [{ runId: 'story' }] } });
    expect(await run(...options, '--token-file', tokenFile('watcher'), 'dataset', 'list')).toMatchObject({ code: 0 });
    // Without a token, and without a certificate.
    expect(await run(...options, 'runs')).toMatchObject({
      code: 2,
      words: expect.stringContaining('no token') as string,
    });
    expect((await run('--ca-file', authority.caFile, '--token-file', tokenFile('app'), 'runs')).code).toBe(3);
    // A data-set job calls the other services, under the trace of the application that started it.
    const traceId = 'c0ffee'.padStart(32, '0');
    const record = await readServicesRecord(dataFolder(data));
    const { client: embedding, close } = connect(EmbeddingServiceDefinition, {
      service: 'embedding',
      address: record?.services.embedding?.address ?? '',
      security: { ...openClient, ...client, tls: true, caFile: authority.caFile, tokenFile: tokenFile('app') },
    });
    const traceparent = `00-${traceId}-${'1'.padStart(16, '0')}-01`;
    const dataset = { name: 'drawn', split: Split.VALIDATION, drawnSize: validationSize, drawnSeed: 1n };
    const request = { model: 'story', dataset, indexId: '' };
    const { job } = await embedding.startEmbedDataset(request, { metadata: Metadata({ traceparent }) });
    for await (const answer of embedding.watchEmbedDataset({ jobId: job?.jobId ?? '' }))
      expect(JobState[answer.job?.state ?? 0]).not.toBe('JOB_STATE_FAILED');
    close();

    up.child.kill('SIGINT');
    expect(await up.exit).toBe(0);
    await receiver.close();
    const traced = receiver.spans.filter((span) => span.traceId === traceId);
    const seen = (kind: string, service: string, rpc: string) =>
      traced.find((span) => span.kind === kind && span.service === `kindred-${service}` && span.name.endsWith(rpc));
    const called = seen('client', 'embedding', '/StreamBatches');
    expect(called).toBeDefined();
    expect(seen('server', 'data-augmentation', '/StreamBatches')?.parentSpanId).toBe(called?.spanId);
    const asked = seen('server', 'embedding', '/StartEmbedDataset');
    expect(asked?.parentSpanId).toBe('1'.padStart(16, '0'));
    expect(called?.parentSpanId).toBe(asked?.spanId);
    const logs = serviceNames.map((name) => readFileSync(dataFolder(data).logFile(name), 'utf8')).join('');
    expect(logs).toContain('"tls":"mutual"');
    expect(logs).toContain(`"traceId":"${traceId}"`);
    for (const token of Object.values(tokens)) expect(logs).not.toContain(token);
  });
});

// A run in a store, out to a folder, and its files in again as a model; the numbers are judged by Python in tools/acceptance.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFolderStore, type ArtifactStore } from '@kindred/artifact-store';
import { readExperiment } from '@kindred/experiment';
import { decodeNpy, encodeNpy, encodeSafetensors, readPytorchCheckpoint, sgdFromStateDict } from '@kindred/formats';
import { collectGarbage, createModelRegistry, readManifest, writeManifest } from '@kindred/lineage';
import {
  createArchitecture,
  decodeModelFile,
  encodeModelFile,
  initialParameters,
  modelSpecification,
} from '@kindred/simclr';
import { temporaryFolder } from '@kindred/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { workspaceFolder } from './data-folder.js';
import { exitCodes } from './exit-codes.js';
import { createProgram } from './program.js';
import type { RunReport } from './run-export.js';

const architecture = createArchitecture({ width: 2, featureDim: 8 });
const parameters = initialParameters(architecture, 4);
const labels = encodeNpy(BigInt64Array.of(0n, 1n, 0n), [3]);
const neighbors = encodeNpy(BigInt64Array.of(0n, 2n, 1n, 0n, 2n, 1n), [3, 2]);
const features = encodeNpy(
  Float32Array.from({ length: 24 }, (_, i) => i),
  [3, 8],
);
const checkpoint = trainerCheckpoint();

const data = temporaryFolder('kindred-export');
const results = join(data, 'results');

/** Runs a command line in this process. */
async function kindred(...words: string[]): Promise<number> {
  await createProgram().parseAsync(['--data', data, '--json', ...words], { from: 'user' });
  const code = Number(process.exitCode ?? 0);
  process.exitCode = undefined;
  return code;
}

describe('a run that goes out', () => {
  let store: ArtifactStore;
  beforeAll(async () => {
    store = await createFolderStore(join(data, 'artifacts'));
    await putRun(store, 'whole');
    await store.put('runs/whole/model.safetensors', modelFile());
    for (const split of ['train', 'val']) await store.put(`runs/whole/topk-${split}-neighbors.npy`, neighbors);
    for (const split of ['train', 'validation']) {
      await store.put(`features/whole/drawn-${split}-features.npy`, features);
      await store.put(`features/whole/drawn-${split}-labels.npy`, labels);
    }
  });

  it(
    'is a folder of the reference’s form, with a report that has the hash of each file',
    { timeout: 120_000 },
    async () => {
      expect(await kindred('artifacts', 'export', 'whole', '--to', results)).toBe(0);
      const folder = join(results, 'drawn');
      const report = JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8')) as RunReport;
      expect(report.files.map(({ path }) => path).sort()).toEqual([
        'features-train.npy',
        'features-val.npy',
        'labels-val.npy',
        'labels.npy',
        'model.onnx',
        'model.safetensors',
        'pretext/checkpoint.pth.tar',
        'pretext/model.pth.tar',
        'pretext/topk-train-neighbors.npy',
        'pretext/topk-val-neighbors.npy',
        'saved_model/1/saved_model.pb',
      ]);
      for (const { path, bytes, sha256 } of report.files) {
        const content = readFileSync(join(folder, path));
        expect(content.length).toBe(bytes);
        expect(createHash('sha256').update(content).digest('hex')).toBe(sha256);
      }
      // Images 0 and 2 are of one class and neighbours; 1's neighbour is of another.
      const metrics = { untrainedKnnTop1: 10, knnTop1: 30, bestKnnTop1: 40 };
      expect(report.metrics).toMatchObject(metrics);
      expect(report.metrics.neighborAccuracyTrain).toBeCloseTo(100 / 3);
      expect(report.epochs.map(({ epoch, meanLoss, knnTop1 }) => [epoch, meanLoss, knnTop1])).toEqual([
        [1, 5, 40],
        [2, 4, 30],
      ]);
      expect(report.missing).toEqual([]);
      expect(decodeNpy(readFileSync(join(folder, 'features-val.npy'))).shape).toEqual([3, 8]);

      const { model, optimizer, epoch } = readPytorchCheckpoint(
        readFileSync(join(folder, 'pretext/checkpoint.pth.tar')),
      );
      expect(epoch).toBe(2);
      expect(model.get('backbone.bn1.num_batches_tracked')?.dtype).toBe('I64');
      expect(sgdFromStateDict(optimizer ?? null)).toMatchObject({ lr: 0.0125, momentum: 0.9, nesterov: false });
    },
  );

  it('does not replace another run’s files unasked, and its own silently', { timeout: 120_000 }, async () => {
    await putRun(store, 'other');
    await store.put('runs/other/model.safetensors', modelFile());
    const report = (): RunReport => JSON.parse(readFileSync(join(results, 'drawn/report.json'), 'utf8')) as RunReport;
    expect(await kindred('artifacts', 'export', 'other', '--to', results)).not.toBe(0);
    expect(report().runId).toBe('whole');
    expect(await kindred('artifacts', 'export', 'whole', '--to', results)).toBe(0);
    expect(await kindred('artifacts', 'export', 'other', '--to', results, '--replace')).toBe(0);
    expect(report()).toMatchObject({ runId: 'other', metrics: { neighborAccuracyTrain: null } });
    expect(report().missing).toContain('runs/other/topk-train-neighbors.npy');
    // `other` has neither: the first run's would pass for its own.
    expect(readdirSync(join(results, 'drawn')).filter((name) => name.endsWith('.npy'))).toEqual([]);
    expect(readdirSync(join(results, 'drawn/pretext')).sort()).toEqual(['checkpoint.pth.tar', 'model.pth.tar']);
  });

  it('replaces no file of unknown making unasked, but takes one of the same bytes', { timeout: 120_000 }, async () => {
    const to = join(data, 'reference');
    const folder = join(to, 'drawn/pretext');
    mkdirSync(folder, { recursive: true });
    // What `kindred pretext` copies there by itself, and what another program left.
    writeFileSync(join(folder, 'topk-train-neighbors.npy'), neighbors);
    writeFileSync(join(folder, 'model.pth.tar'), 'somebody else’s');
    expect(await kindred('artifacts', 'export', 'whole', '--to', to)).not.toBe(0);
    expect(readFileSync(join(folder, 'model.pth.tar'), 'utf8')).toBe('somebody else’s');
    expect(
      readdirSync(join(to, 'drawn'), { recursive: true, withFileTypes: true }).filter((e) => e.isFile()),
    ).toHaveLength(2);
    expect(await kindred('artifacts', 'export', 'whole', '--to', to, '--replace')).toBe(0);
    expect(readPytorchCheckpoint(readFileSync(join(folder, 'model.pth.tar'))).model.size).toBeGreaterThan(0);
  });

  it.each([
    ['model', 'model', 'hashed', 'runs/hashed/model.safetensors', modelFile()],
    ['neighbours', 'index', 'hashed-train', 'runs/hashed/topk-train-neighbors.npy', neighbors],
    ['features', 'feature-set', 'hashed/drawn-validation', 'features/hashed/drawn-validation-features.npy', features],
  ] as const)(
    'is refused when a file was damaged since its manifest: %s',
    { timeout: 120_000 },
    async (_, kind, id, key, content) => {
      await putRun(store, 'hashed');
      if (kind !== 'model') await store.put('runs/hashed/model.safetensors', modelFile());
      const { sha256, size } = await store.put(key, content);
      const producer = { program: 'a spec', version: '1' };
      const none = { inputs: [], config: {}, seed: null, metrics: {} };
      await writeManifest(store, { kind, id, producer, ...none, files: [{ key, sha256, size }] });
      expect(await kindred('artifacts', 'export', 'hashed', '--to', join(data, 'before'), '--replace')).toBe(0);
      // The last byte is a number's: the file still has its form.
      await store.put(
        key,
        content.map((byte, i) => (i === content.length - 1 ? byte ^ 1 : byte)),
      );
      expect(await kindred('artifacts', 'export', 'hashed', '--to', join(data, 'after'))).toBe(exitCodes.damaged);
      expect(existsSync(join(data, 'after/drawn/report.json'))).toBe(false);
      for (const used of [key, 'runs/hashed/model.safetensors', `manifests/${kind}/${id}.json`])
        await store.delete(used);
    },
  );

  it(
    'is refused without a model, with a damaged checkpoint, and where there is none',
    { timeout: 120_000 },
    async () => {
      await putRun(store, 'young');
      await putRun(store, 'damaged');
      await store.put('runs/damaged/model.safetensors', modelFile());
      const key = 'runs/damaged/checkpoints/000000000018.safetensors';
      await store.put(
        key,
        checkpoint.map((byte, i) => (i === checkpoint.length - 1 ? byte ^ 1 : byte)),
      );
      for (const run of ['young', 'damaged', 'nobody']) {
        expect(await kindred('artifacts', 'export', run, '--to', join(data, run))).not.toBe(0);
        expect(existsSync(join(data, run, 'drawn/report.json'))).toBe(false);
      }
    },
  );

  it('comes in again as a model of another name, once', { timeout: 120_000 }, async () => {
    await kindred('artifacts', 'export', 'whole', '--to', join(data, 'again'));
    const file = join(data, 'again/drawn/pretext/checkpoint.pth.tar');
    const experiment = join(workspaceFolder(), 'configs/pretext/demo_drawn.yml');
    expect(await kindred('artifacts', 'import', file, '--name', 'twin', '--config-exp', experiment)).toBe(0);
    const model = decodeModelFile(await store.get('runs/twin/model.safetensors'));
    expect(model).toMatchObject({ architecture, cropSize: 32, normalisation: { mean: [0.5, 0.5, 0.5] } });
    expect(model.parameters).toEqual(parameters);
    expect((await createModelRegistry(store).get('twin')).versions).toMatchObject([
      { key: 'runs/twin/model.safetensors', source: { kind: 'import', id: 'checkpoint.pth.tar' } },
    ]);
    expect(await readManifest(store, 'model', 'twin')).toMatchObject({
      files: [{ key: 'runs/twin/model.safetensors' }],
    });
    const { garbage } = await collectGarbage(store, { graceMs: 0 });
    expect(garbage.filter(({ key }) => key.includes('twin'))).toEqual([]);
    // The same again changes nothing; with other settings it is another model.
    const before = [await store.get('registry/twin.json'), await store.get('manifests/model/twin.json')];
    expect(await kindred('artifacts', 'import', file, '--name', 'twin', '--config-exp', experiment)).toBe(0);
    expect([await store.get('registry/twin.json'), await store.get('manifests/model/twin.json')]).toEqual(before);
    expect(await kindred('artifacts', 'import', file, '--name', 'twin')).not.toBe(0);
    // Cut after the model was stored, and after it was registered: repeated, it goes on.
    for (const lost of [['registry/twin.json', 'manifests/model/twin.json'], ['manifests/model/twin.json']]) {
      for (const key of lost) await store.delete(key);
      expect(await kindred('artifacts', 'import', file, '--name', 'twin', '--config-exp', experiment)).toBe(0);
      expect((await createModelRegistry(store).get('twin')).versions).toHaveLength(1);
      expect(await readManifest(store, 'model', 'twin')).not.toBeNull();
    }
    expect(await kindred('artifacts', 'import', file, '--name', 'whole')).not.toBe(0);
    expect(decodeModelFile(await store.get('runs/whole/model.safetensors')).origin).toEqual({ run: 'whole' });
  });

  it('is refused as a whole when tensors are missing or the file is none', { timeout: 120_000 }, async () => {
    const half = join(data, 'half.safetensors');
    writeFileSync(
      half,
      encodeSafetensors({ 'conv1.weight': { dtype: 'F32', shape: [2, 3, 3, 3], data: new Float32Array(54) } }),
    );
    expect(await kindred('artifacts', 'import', half)).not.toBe(0);
    expect(await kindred('artifacts', 'import', join(data, 'absent.pth'))).not.toBe(0);
    expect(await store.describe('runs/half/model.safetensors')).toBeNull();
  });
});

function modelFile(): Uint8Array {
  const normalisation = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };
  return encodeModelFile({ architecture, parameters, normalisation, cropSize: 32, origin: { run: 'whole' } });
}

/** As services/trainer writes it: parameters, `momentum/…`, progress. */
function trainerCheckpoint(): Uint8Array {
  const tensors = modelSpecification(architecture).flatMap(({ name, shape, trainable }) => {
    const tensor = { dtype: 'F32' as const, shape, data: parameters[name] as Float32Array };
    return trainable ? [[name, tensor] as const, [`momentum/${name}`, tensor] as const] : [[name, tensor] as const];
  });
  const metadata = { format: 'kindred-checkpoint', version: '2', progress: JSON.stringify({ epochsCompleted: 2 }) };
  return encodeSafetensors(new Map(tensors), metadata);
}

/** A run's record and its one commit, as services/trainer writes them. */
async function putRun(store: ArtifactStore, runId: string): Promise<void> {
  const text = readFileSync(join(workspaceFolder(), 'configs/pretext/demo_drawn.yml'), 'utf8');
  const specification = { runId, experiment: readExperiment({ text }), dataRoot: '', seed: '7', createTime: '' };
  const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  await store.put(`runs/${runId}/run.json`, json({ specification, state: 'succeeded', updateTime: '', tail: [] }));
  const key = `runs/${runId}/checkpoints/000000000018.safetensors`;
  const { sha256 } = await store.put(key, checkpoint);
  const bodies = [
    { kind: 'knn', epochsTrained: 0, top1: 10 },
    { kind: 'epoch', epoch: 0, meanLoss: 5, seconds: 1 },
    { kind: 'knn', epochsTrained: 1, top1: 40 },
    { kind: 'step', learningRate: 0.0125 },
    { kind: 'epoch', epoch: 1, meanLoss: 4, seconds: 1 },
    { kind: 'knn', epochsTrained: 2, top1: 30 },
  ];
  const events = bodies.map((body, number) => ({ number, time: '', body }));
  await store.put(`runs/${runId}/commits/000000000018.json`, json({ checkpoint: { key, sha256 }, events }));
}

// A run out to PyTorch, TensorFlow, ONNX and numpy, models of PyTorch in: all must give what our embedding service gives.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { decodeNpy, decodeNpyAs, encodeNpy } from '@kindred/formats';
import { toOnnxModel, toSavedModel } from '@kindred/model-exchange';
import { EmbeddingServiceDefinition, FeatureKind } from '@kindred/protocol/embedding';
import { pythonWith } from '@kindred/python-environment';
import { connect, float32Of, type Connection } from '@kindred/service-runtime';
import { decodeModelFile } from '@kindred/simclr';
import { temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startKindred, type KindredCommand, type Line } from './kindred-command.js';

const root = resolve(import.meta.dirname, '../../..');
const scripts = join(root, 'tools/acceptance/python');
const peers = join(root, 'tools/bench/peers');
const imageCount = 64;
const tolerance = 1e-4;

const python = await environments();
const folder = temporaryFolder('kindred-formats');
const data = join(folder, 'data');
const trained = join(folder, 'results', 'drawn');

/** Interpreters with PyTorch, with TensorFlow and onnxruntime, and with Lightning; null where pip can't bring them. */
async function environments(): Promise<{ readonly torch: string; readonly graphs: string; lightning: string } | null> {
  const say = (line: string): void => console.log(line);
  try {
    return {
      torch: await pythonWith({
        purpose: 'bench',
        file: join(peers, 'requirements.txt'),
        contents: 'PyTorch; several GB',
        say,
      }),
      graphs: await pythonWith({
        purpose: 'acceptance',
        file: join(scripts, 'requirements.txt'),
        contents: 'TensorFlow and onnxruntime; 2 GB',
        say,
      }),
      lightning: await pythonWith({
        purpose: 'lightning',
        file: join(scripts, 'requirements-lightning.txt'),
        contents: 'PyTorch Lightning and lightly; 0.1 GB',
        complete: true,
        say,
      }),
    };
  } catch (thrown) {
    console.warn(
      `\n!!! SKIPPED: no Python environment, so nothing of the formats was checked: ${(thrown as Error).message}\n`,
    );
    return null;
  }
}

async function runPython(interpreter: string | undefined, script: string, ...words: string[]): Promise<void> {
  const path = [scripts, peers, ...(interpreter === python?.lightning ? [await packagesOf(python?.torch)] : [])];
  await promisify(execFile)(interpreter ?? '', [join(scripts, script), ...words], {
    env: { ...process.env, PYTHONPATH: path.join(delimiter), PYTHONDONTWRITEBYTECODE: '1' },
    maxBuffer: 2 ** 26,
  });
}

/** Folder of an environment's packages, for another that goes without its own PyTorch. */
async function packagesOf(interpreter: string | undefined): Promise<string> {
  const script = 'import sysconfig; print(sysconfig.get_paths()["purelib"])';
  return (await promisify(execFile)(interpreter ?? '', ['-c', script])).stdout.trim();
}

/** Images of every brightness and frequency, uint8 [64, side, side, 3], written for Python. */
function writeImages(side: number): string {
  const pixels = Uint8Array.from({ length: imageCount * side * side * 3 }, (_, i) => {
    const image = Math.floor(i / (side * side * 3));
    return 127.5 * (1 + Math.sin(i * (0.01 + image * 0.037)) * Math.cos(i * 0.00031 * image));
  });
  const path = join(folder, `images-${side}.npy`);
  writeFileSync(path, encodeNpy(pixels, [imageCount, side, side, 3]));
  return path;
}

const readFloats = (path: string): Float32Array => decodeNpyAs(readFileSync(path), 'f4', path).data;

/** Largest absolute difference. */
function difference(actual: Float32Array, expected: Float32Array): number {
  expect(actual.length).toBe(expected.length);
  return expected.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (actual[i] ?? NaN))), 0);
}

describe.skipIf(python === null)('formats', () => {
  const small = writeImages(32);
  const middle = writeImages(96);
  const large = writeImages(224);
  let up: KindredCommand;
  let embedding: Connection<typeof EmbeddingServiceDefinition>;

  const kindred = async (...words: string[]): Promise<Line> => {
    const command = startKindred(data, words);
    expect(await command.exit, command.words()).toBe(0);
    return command.lines.at(-1) ?? {};
  };

  /** What the embedding service makes of the images: `features` of the backbone, and `embedding`. */
  const served = async (model: string, images: string): Promise<Record<'features' | 'embedding', Float32Array>> => {
    const { data: pixels, shape } = decodeNpyAs(readFileSync(images), 'u1', images);
    const [count = 0, height = 0, width = 0] = shape;
    const embed = async (featureKind: FeatureKind): Promise<Float32Array> => {
      const value = { pixels: Buffer.from(pixels), count, height, width };
      const { vectors } = await embedding.client.embed({ model, images: { $case: 'raw', value }, featureKind });
      return float32Of(vectors, 'vectors').slice();
    };
    return { features: await embed(FeatureKind.BACKBONE), embedding: await embed(FeatureKind.EMBEDDING) };
  };

  const expectSame = async (model: string, images: string, prefixes: readonly string[]): Promise<void> => {
    const ours = await served(model, images);
    for (const prefix of prefixes) {
      for (const kind of ['features', 'embedding'] as const) {
        const found = difference(readFloats(`${prefix}-${kind}.npy`), ours[kind]);
        console.log(`${model}: ${kind} of ${prefix.slice(folder.length + 1)}: ${found.toExponential(1)}`);
        expect(found, `${prefix} ${kind}`).toBeLessThan(tolerance);
      }
    }
  };

  beforeAll(async () => {
    const settings = {
      epochs: '2',
      batch_size: '64',
      'model_kwargs.width': '16',
      'drawn_kwargs.train_size': '400',
      'drawn_kwargs.val_size': '100',
    };
    const words = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
    const experiment = join(root, 'configs/pretext/demo_drawn.yml');
    await kindred('pretext', '--config-exp', experiment, '--run-id', 'run', ...words);
    await kindred('artifacts', 'export', 'run', '--to', join(folder, 'results'));
    await runPython(python?.torch, 'make_models.py', small, middle, large, folder);
    up = startKindred(data, ['up', '--port-base', '0']);
    const ready = await up.line(({ event }) => event === 'ready');
    const { address } = (ready['services'] as Record<string, { address: string }>)['embedding'] ?? { address: '' };
    embedding = connect(EmbeddingServiceDefinition, { service: 'embedding', address });
  }, 15 * 60_000);

  afterAll(async () => {
    embedding?.close();
    up?.child.kill('SIGINT');
    await up?.exit;
  });

  it('of a run give its features in PyTorch, TensorFlow and onnxruntime', async () => {
    await runPython(python?.torch, 'read_export.py', trained, small, folder);
    await runPython(python?.graphs, 'read_graphs.py', trained, small, folder, join(folder, 'state.npz'));
    const readers = ['torch', 'tensorflow', 'tensorflow-float', 'onnx'].map((name) => join(folder, name));
    await expectSame('run', small, readers);
  });

  it('of numpy are read by np.load as by us, and the checkpoint goes on in PyTorch', () => {
    const facts = JSON.parse(readFileSync(join(folder, 'arrays.json'), 'utf8')) as {
      arrays: Record<string, { dtype: string; shape: number[]; sha256: string }>;
      epoch: number;
      momentum_norm: number;
    };
    expect(Object.keys(facts.arrays).sort()).toEqual([
      'features-train.npy',
      'features-val.npy',
      'labels-val.npy',
      'labels.npy',
      'pretext/topk-train-neighbors.npy',
      'pretext/topk-val-neighbors.npy',
    ]);
    for (const [path, { dtype, shape, sha256 }] of Object.entries(facts.arrays)) {
      const ours = decodeNpy(readFileSync(join(trained, path)), path);
      expect([`<${ours.dtype}`, ours.shape]).toEqual([dtype, shape]);
      expect(createHash('sha256').update(ours.data).digest('hex')).toBe(sha256);
    }
    expect(facts.arrays['pretext/topk-train-neighbors.npy']?.shape).toEqual([400, 21]);
    expect(facts.epoch).toBe(2);
    expect(facts.momentum_norm).toBeGreaterThan(0);
  });

  it.each([
    ['reference', small, []],
    ['stl', middle, ['--form', 'stl']],
    ['parallel', small, []],
    ['numbered', small, []],
    ['torchvision', small, []],
    ['imagenet', large, []],
  ])('of PyTorch (%s) give PyTorch’s features here', async (name, images, options) => {
    await kindred('artifacts', 'import', join(folder, `${name}.pth`), '--name', name, ...options);
    await expectSame(name, images, [join(folder, name)]);
  });

  it('of Lightning, with all that its trainer keeps beside the weights of lightly’s modules, give PyTorch’s features here', async () => {
    await runPython(python?.lightning, 'make_lightly.py', large, folder);
    await kindred('artifacts', 'import', join(folder, 'lightly.ckpt'), '--name', 'lightly');
    await expectSame('lightly', large, [join(folder, 'lightly')]);
  });

  it.each([
    ['stl', middle],
    ['imagenet', large],
  ])('of the %s form give its features in TensorFlow and onnxruntime', async (name, images) => {
    const out = join(folder, `${name}-export`);
    mkdirSync(join(out, 'saved_model/1'), { recursive: true });
    const model = decodeModelFile(readFileSync(join(data, `artifacts/runs/${name}/model.safetensors`)));
    writeFileSync(join(out, 'saved_model/1/saved_model.pb'), toSavedModel(model));
    writeFileSync(join(out, 'model.onnx'), toOnnxModel(model));
    await runPython(python?.graphs, 'read_graphs.py', out, images, out);
    await expectSame(
      name,
      images,
      ['tensorflow', 'onnx'].map((reader) => join(out, reader)),
    );
  });

  it('that would run code are refused by the name of what they call', async () => {
    const command = startKindred(data, ['artifacts', 'import', join(folder, 'module.pth')]);
    expect(await command.exit).not.toBe(0);
    expect(command.words()).toContain('is not allowed');
  });
});

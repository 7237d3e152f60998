// The examples of docs/embedding.md and of python/, each against the built service: all clients get the same vectors.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createEmbeddingClient } from '@kindred/client';
import { isKindredError } from '@kindred/errors';
import { pythonWith } from '@kindred/python-environment';
import { goProgram, temporaryFolder } from '@kindred/testing';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { root, startEmbeddingProcess, type EmbeddingProcess } from './embedding-process.js';
import { outputOf } from './output-of.js';

const folder = temporaryFolder();
const files = {
  a: join(folder, 'a.png'),
  b: join(folder, 'b.jpg'),
  broken: join(folder, 'broken.png'),
  raw: join(folder, 'a.raw'),
};
const pixels = Buffer.from(Array.from({ length: 3072 }, (_, i) => (i * 7) & 255));
let service: EmbeddingProcess;
let expected: readonly (Float32Array | null)[];

beforeAll(async () => {
  const image = sharp(pixels, { raw: { width: 32, height: 32, channels: 3 } });
  writeFileSync(files.a, await image.png().toBuffer());
  writeFileSync(files.b, await image.negate().jpeg().toBuffer());
  writeFileSync(files.broken, 'no image');
  writeFileSync(files.raw, pixels);
  service = await startEmbeddingProcess(['cats']);
  const client = createEmbeddingClient({ address: service.address, model: 'cats' });
  expected = (await client.embed([readFileSync(files.a), readFileSync(files.b)])).vectors;
  client.close();
}, 300_000);
afterAll(() => service.stop());

/** The interpreter with the examples' packages; the test is skipped, loudly, where they cannot be fetched. */
async function python(context: TestContext): Promise<string> {
  const file = join(root, 'tools/applications/python/requirements.txt');
  const contents = 'grpcio and tritonclient (100 MB)';
  try {
    return await pythonWith({ purpose: 'applications', file, contents, say: (line) => console.error(line) });
  } catch (thrown) {
    if (!isKindredError(thrown, 'FAILED_PRECONDITION')) throw thrown;
    console.error(`\n!!! SKIPPED: examples in Python: ${thrown.message}\n`);
    return context.skip();
  }
}

const near = (got: readonly number[] | null, wanted: Float32Array | null | undefined): void => {
  expect(got).toHaveLength(wanted?.length ?? NaN);
  got?.forEach((value, i) => expect(value).toBeCloseTo(wanted?.[i] ?? NaN, 5));
};

describe('applications', () => {
  it('in Python, over our contract: one line a file, broken ones named', async (context) => {
    const interpreter = await python(context);
    const stubs = join(folder, 'stubs');
    mkdirSync(stubs);
    const protos = readdirSync(join(root, 'proto/kindred')).flatMap((area) =>
      readdirSync(join(root, 'proto/kindred', area, 'v1')).map((name) => join(root, 'proto/kindred', area, 'v1', name)),
    );
    await outputOf(interpreter, [
      ...['-m', 'grpc_tools.protoc', '-I', join(root, 'proto'), `--python_out=${stubs}`, `--grpc_python_out=${stubs}`],
      ...protos,
    ]);
    const script = join(root, 'tools/applications/python/embed.py');
    const output = await outputOf(interpreter, [
      script,
      service.address,
      'cats',
      stubs,
      files.a,
      files.broken,
      files.b,
    ]);
    const lines = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { vector: number[] | null; error: string | null });
    near(lines[0]?.vector ?? null, expected[0]);
    near(lines[2]?.vector ?? null, expected[1]);
    expect(lines[1]).toMatchObject({ vector: null, error: expect.stringContaining('encoded.images[1]') as string });
  });

  it('of Triton, over the Open Inference Protocol, unchanged', async (context) => {
    const interpreter = await python(context);
    const script = join(root, 'tools/applications/python/triton.py');
    const output = await outputOf(interpreter, [script, service.address, 'cats', files.a, files.b, files.raw]);
    const said = JSON.parse(output) as Record<string, unknown> & { encoded: number[][]; pixels: number[][] };
    near(said.encoded[0] ?? null, expected[0]);
    near(said.encoded[1] ?? null, expected[1]);
    near(said.pixels[0] ?? null, expected[0]);
    expect(said).toMatchObject({
      live: true,
      ready: true,
      server: { name: 'kindred-embedding' },
      metadata: { name: 'cats', platform: 'kindred_tensorflow' },
      modelReady: [true, true, false],
      id: '7',
      times: ['inference_us', 'preprocess_us', 'queue_us'],
      backboneShape: [2, 32],
      refusal: expect.stringContaining('NOT_FOUND') as string,
    });
    expect(said['index']).toMatchObject({ models: [{ name: 'cats', state: 'READY' }] });
  });

  it('in a shell, with grpcurl, over reflection', async (context) => {
    const grpcurl = await goProgram('grpcurl');
    if (grpcurl === null) return context.skip();
    const listed = await outputOf(grpcurl, ['-plaintext', service.address, 'list']);
    expect(listed.split('\n')).toEqual(
      expect.arrayContaining(['inference.GRPCInferenceService', 'kindred.embedding.v1.EmbeddingService']),
    );
    const request = { model: 'cats', encoded: { images: [readFileSync(files.a).toString('base64')] } };
    const method = 'kindred.embedding.v1.EmbeddingService/Embed';
    const output = await outputOf(grpcurl, ['-plaintext', '-d', '@', service.address, method], JSON.stringify(request));
    const { vectors, count } = JSON.parse(output) as { readonly vectors: string; readonly count: number };
    expect(count).toBe(1);
    const bytes = Uint8Array.from(Buffer.from(vectors, 'base64'));
    near([...new Float32Array(bytes.buffer)], expected[0]);
  });
});

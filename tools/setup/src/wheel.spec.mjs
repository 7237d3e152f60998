// A download that is not the pinned one is refused and deleted; the pins cover the supported platforms.
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ExitCode } from './setup-error.mjs';
import { tensorflowWheels } from './tensorflow-wheels.mjs';
import { checkDigest } from './wheel.mjs';

describe('checkDigest', () => {
  let folder = '';
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'wheel-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('keeps the pinned file', async () => {
    const file = join(folder, 'tensorflow.whl');
    writeFileSync(file, 'wheel');
    await checkDigest(file, createHash('sha256').update('wheel').digest('hex'));
    expect(existsSync(file)).toBe(true);
  });

  it('deletes any other', async () => {
    const file = join(folder, 'tensorflow.whl');
    writeFileSync(file, 'whee1');
    const refused = checkDigest(file, createHash('sha256').update('wheel').digest('hex'));
    await expect(refused).rejects.toMatchObject({ exitCode: ExitCode.damagedDownload });
    expect(existsSync(file)).toBe(false);
  });
});

describe('tensorflowWheels', () => {
  it.each([
    ['cpu', 'linux-x64', 'tensorflow-cpu', 1],
    ['cpu', 'linux-arm64', 'tensorflow', 1],
    ['gpu', 'linux-x64', 'tensorflow', 13],
  ])('%s on %s is %s', (kind, platform, name, count) => {
    const wheels = tensorflowWheels(kind, platform);
    expect(wheels).toHaveLength(count);
    expect(wheels[0]).toMatchObject({ name, version: '2.21.0' });
    for (const { sha256 } of wheels) expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each([
    ['tpu', 'linux-x64'],
    ['cpu', 'darwin-arm64'],
    ['gpu', 'linux-arm64'],
  ])('%s on %s is refused', (kind, platform) => {
    expect(() => tensorflowWheels(kind, platform)).toThrowError(expect.objectContaining({ exitCode: ExitCode.usage }));
  });
});

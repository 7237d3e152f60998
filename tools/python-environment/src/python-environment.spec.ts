// Environments: one that is whole is taken as it is, and one that can't be made says so and leaves nothing that looks whole.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { environmentName, pythonWith } from './index.js';

describe('a Python environment', () => {
  const cache = temporaryFolder('kindred-python');
  const file = join(cache, 'requirements.txt');
  const requirements = { purpose: 'spec', file, contents: 'nothing', say: () => {} };
  beforeEach(() => vi.stubEnv('KINDRED_CACHE', cache));
  afterEach(() => vi.unstubAllEnvs());

  it('is found again by its requirements, and by no others', async () => {
    writeFileSync(file, 'numpy==2.4.6\n');
    const folder = join(cache, environmentName('spec', 'numpy==2.4.6\n'));
    mkdirSync(folder);
    writeFileSync(join(folder, 'complete'), '');
    expect(await pythonWith(requirements)).toBe(join(folder, 'bin', 'python'));
    expect(environmentName('spec', 'numpy==2.4.5\n')).not.toBe(environmentName('spec', 'numpy==2.4.6\n'));
  });

  it('that cannot be made is an error that says what to do, and is not taken for whole', async () => {
    writeFileSync(file, '# other\n');
    vi.stubEnv('PATH', cache);
    await expect(pythonWith(requirements)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(existsSync(join(cache, environmentName('spec', '# other\n'), 'complete'))).toBe(false);
  });
});

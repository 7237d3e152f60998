// Loading: one copy of tfjs-core, one setting a process, a clear word when the addon is absent.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isKindredError, type KindredError } from '@kindred/errors';
import { temporaryFolder } from '@kindred/testing';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { loadTensorFlow } from './runtime.js';

describe('loadTensorFlow', () => {
  it('starts TensorFlow once', () => {
    const runtime = loadTensorFlow();
    expect(loadTensorFlow()).toBe(runtime);
    expect(runtime.version).toMatch(/^\d+\.\d+/);
    expect(['cpu', 'gpu']).toContain(runtime.device);
  });

  it('loads exactly one copy of tfjs-core', () => {
    const { tf: own } = loadTensorFlow();
    const addonPackage = createRequire(import.meta.url).resolve('@tensorflow/tfjs-node-gpu');
    const fromAddon = createRequire(addonPackage);
    const unionPackage = createRequire(fromAddon.resolve('@tensorflow/tfjs'));
    expect(unionPackage.resolve('@tensorflow/tfjs-core')).toBe(
      createRequire(import.meta.url).resolve('@tensorflow/tfjs-core'),
    );
    expect(own.engine()).toBe(tf.engine());
    expect(tf.getBackend()).toBe('tensorflow');
    const cores = Object.keys(createRequire(import.meta.url).cache).filter((path) => path.endsWith('tf-core.node.js'));
    expect(new Set(cores).size).toBeLessThanOrEqual(1);
  });

  it('refuses other options than the process has', () => {
    loadTensorFlow();
    expect(() => loadTensorFlow({ intraOpThreads: 77 })).toThrow(
      expect.objectContaining({ code: 'FAILED_PRECONDITION' }),
    );
  });

  it('says what to run when the addon is absent', () => {
    // A process in which the package can't be found, as before setup.
    const module = fileURLToPath(new URL('./runtime.ts', import.meta.url));
    const code = `
      import Module from 'node:module';
      const resolve = Module._resolveFilename;
      Module._resolveFilename = (name, ...rest) => {
        if (name === '@tensorflow/tfjs-node-gpu') throw new Error('native addon not found');
        return resolve(name, ...rest);
      };
      const { loadTensorFlow } = await import(${JSON.stringify(module)});
      try { loadTensorFlow(); } catch (error) { process.stdout.write(JSON.stringify({ code: error.code, message: error.message })); }
    `;
    const { stdout } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
      encoding: 'utf8',
    });
    const error = JSON.parse(stdout.slice(stdout.indexOf('{'))) as { code: string; message: string };
    expect(error.code).toBe('FAILED_PRECONDITION');
    expect(error.message).toContain('npm run setup');
  });

  it('says what to do about operations that cannot be loaded', () => {
    // A process that finds a text in the place of the addon.
    const broken = join(temporaryFolder('operations'), 'kindred_operations.node');
    writeFileSync(broken, 'not an addon');
    const module = fileURLToPath(new URL('./runtime.ts', import.meta.url));
    const code = `
      import Module from 'node:module';
      const load = Module._extensions['.node'];
      Module._extensions['.node'] = (target, name) =>
        load(target, name.endsWith('kindred_operations.node') ? ${JSON.stringify(broken)} : name);
      const { loadTensorFlow } = await import(${JSON.stringify(module)});
      try { loadTensorFlow(); } catch (error) { process.stdout.write(JSON.stringify({ ...error, code: error.code, message: error.message })); }
    `;
    const { stdout } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
      encoding: 'utf8',
    });
    const error = JSON.parse(stdout.slice(stdout.indexOf('{'))) as KindredError;
    expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', resource: { type: 'file' } });
    expect(error.message).toContain('npm run setup');
    expect(error.message).toContain('kindred_operations.node');
  });

  const preset = { TF_FORCE_GPU_ALLOW_GROWTH: 'true', TF_USE_CUDNN_BATCHNORM_SPATIAL_PERSISTENT: '1' };
  it.each([
    [
      '{ xla: true, tf32: false }',
      { TF_XLA_FLAGS: '--own' },
      {
        ...preset,
        TF_XLA_FLAGS: '--own --tf_xla_auto_jit=2 --tf_xla_cpu_global_jit',
        NVIDIA_TF32_OVERRIDE: '0',
        TF_NUM_INTEROP_THREADS: '1',
      },
    ],
    [
      '{ xla: false, tf32: true, interOpThreads: 3 }',
      { TF_XLA_FLAGS: '--own', TF_NUM_INTEROP_THREADS: '2' },
      { ...preset, TF_XLA_FLAGS: '--own', TF_NUM_INTEROP_THREADS: '3' },
    ],
    [
      '{}',
      { TF_NUM_INTEROP_THREADS: '4', TF_FORCE_GPU_ALLOW_GROWTH: 'false' },
      { ...preset, TF_NUM_INTEROP_THREADS: '4', TF_FORCE_GPU_ALLOW_GROWTH: 'false' },
    ],
  ])('hands %s to TensorFlow through the environment, before it is loaded', (options, given, expected) => {
    const names = [...Object.keys(preset), 'TF_XLA_FLAGS', 'NVIDIA_TF32_OVERRIDE', 'TF_NUM_INTEROP_THREADS'];
    // A process whose package, when it is loaded, says what it finds.
    const module = fileURLToPath(new URL('./runtime.ts', import.meta.url));
    const code = `
      import Module from 'node:module';
      const resolve = Module._resolveFilename;
      Module._resolveFilename = (name, ...rest) => {
        if (name !== '@tensorflow/tfjs-node-gpu') return resolve(name, ...rest);
        const found = Object.fromEntries(${JSON.stringify(names)}.map((key) => [key, process.env[key]]));
        process.stdout.write(JSON.stringify(found));
        process.exit();
      };
      const { loadTensorFlow } = await import(${JSON.stringify(module)});
      loadTensorFlow(${options});
    `;
    const environment = Object.fromEntries(Object.entries(process.env).filter(([key]) => !names.includes(key)));
    const { stdout } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
      encoding: 'utf8',
      env: { ...environment, ...given },
    });
    expect(JSON.parse(stdout.slice(stdout.indexOf('{')))).toEqual(expected);
  });

  it('checks thread counts', () => {
    const check = (): unknown => loadTensorFlow({ interOpThreads: 0 });
    expect(check).toThrow();
    try {
      check();
    } catch (error) {
      expect(isKindredError(error)).toBe(true);
    }
  });
});

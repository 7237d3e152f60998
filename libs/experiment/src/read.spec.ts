import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { canonicalJson, readEnvironment, readExperiment } from './index.js';

const folder = join(import.meta.dirname, '../../../configs/pretext');
const cifar10 = readFileSync(join(folder, 'simclr_cifar10.yml'), 'utf8');
const faults = (
  run: () => unknown,
): { code: string; message: string; violations: { field: string; description: string }[] } => {
  try {
    run();
  } catch (thrown) {
    return thrown as never;
  }
  throw new Error('nothing was thrown');
};

describe('experiment files', () => {
  it.each(readdirSync(folder))('reads %s', (name) => {
    const experiment = readExperiment({ text: readFileSync(join(folder, name), 'utf8'), file: name });
    expect(experiment.setup).toBe('simclr');
  });

  it('fills in what the reference leaves to its code', () => {
    const experiment = readExperiment({ text: cifar10 });
    expect(experiment.model_kwargs).toEqual({ head: 'mlp', features_dim: 128, width: 64 });
    expect(experiment.augmentation_kwargs.random_resized_crop).toEqual({ size: 32, scale: [0.2, 1] });
    expect(experiment).toMatchObject({ checkpoint_steps: 0, limit_steps: 0 });
    expect(experiment.early_stop).toBeUndefined();
    expect(JSON.parse(canonicalJson(experiment))).toEqual(experiment);
  });

  it('applies overrides in YAML notation', () => {
    const overrides = {
      'optimizer_kwargs.lr': '1e-1',
      'drawn_kwargs.train_size': '500',
      'optimizer_kwargs.nesterov': 'true',
      early_stop: '{metric: knn, patience: 3}',
    };
    const experiment = readExperiment({ text: cifar10, overrides });
    expect(experiment.optimizer_kwargs).toMatchObject({ lr: 0.1, nesterov: true });
    expect(experiment.drawn_kwargs.train_size).toBe(500);
    expect(experiment.early_stop).toEqual({ metric: 'knn', patience: 3, min_delta: 0 });
  });

  it('has the defaults of the optimizer that is chosen', () => {
    const kwargs = '{ lr: 0.3, weight_decay: 1e-6 }';
    const sgd = readExperiment({ text: cifar10, overrides: { optimizer_kwargs: kwargs } });
    expect(sgd.optimizer_kwargs).toEqual({ lr: 0.3, weight_decay: 1e-6, nesterov: false, momentum: 0 });
    const lars = readExperiment({ text: cifar10, overrides: { optimizer: 'lars', optimizer_kwargs: kwargs } });
    expect(lars.optimizer_kwargs).toMatchObject({ momentum: 0.9, trust_coefficient: 0.001 });
    const nesterov = { optimizer: 'lars', optimizer_kwargs: '{ lr: 0.3, nesterov: true }' };
    expect(readExperiment({ text: cifar10, overrides: nesterov }).optimizer_kwargs.nesterov).toBe(true);
  });

  it('changes nothing of the reference’s training where the added keys are absent', () => {
    const experiment = readExperiment({ text: cifar10 });
    expect(experiment).toMatchObject({ optimizer: 'sgd', accumulate_steps: 1, precision: 'float32' });
    expect(experiment.scheduler_kwargs).toMatchObject({ warmup_epochs: 0, per_step: false });
    expect(experiment.evaluation).toEqual({ linear_probe: false, backbone_knn: false });
  });

  it('names file, line, key and what is allowed', () => {
    const text = cifar10.replace('epochs: 500', 'epochs: -1').replace('momentum: 0.9', 'momentun: 0.9');
    const error = faults(() => readExperiment({ text, file: 'exp.yml' }));
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(error.violations.map(({ field }) => field).sort()).toEqual(['epochs', 'optimizer_kwargs.momentun']);
    const line = text.split('\n').indexOf('epochs: -1') + 1;
    expect(error.message).toContain(`exp.yml:${line}: epochs: got -1; allowed: a whole number from 1 to 100000`);
    expect(error.message).toContain(
      'optimizer_kwargs.momentun: unknown key; allowed here: nesterov, weight_decay, momentum, lr, trust_coefficient',
    );
  });

  it.each([
    ['wrong type', { batch_size: '"many"' }, 'batch_size'],
    ['half a checkpoint', { checkpoint_steps: '0.5' }, 'checkpoint_steps'],
    ['a negative limit', { limit_steps: '-1' }, 'limit_steps'],
    ['another metric', { 'early_stop.metric': 'loss', 'early_stop.patience': '3' }, 'early_stop.metric'],
    ['no patience', { 'early_stop.metric': 'knn', 'early_stop.patience': '0' }, 'early_stop.patience'],
    ['a stop without patience', { 'early_stop.metric': 'knn' }, 'early_stop.patience'],
    ['an impossible rise', { early_stop: '{metric: knn, patience: 1, min_delta: 101}' }, 'early_stop.min_delta'],
    ['missing value', { criterion_kwargs: '{}' }, 'criterion_kwargs.temperature'],
    ['impossible value', { 'criterion_kwargs.temperature': '0' }, 'criterion_kwargs.temperature'],
    ['unknown dataset', { train_db_name: 'mnist' }, 'train_db_name'],
    [
      'contradiction',
      { 'optimizer_kwargs.momentum': '0', 'optimizer_kwargs.nesterov': 'true' },
      'optimizer_kwargs.nesterov',
    ],
    ['LARS’s key with SGD', { 'optimizer_kwargs.trust_coefficient': '0.001' }, 'optimizer_kwargs.trust_coefficient'],
    ['warm-up over the whole run', { 'scheduler_kwargs.warmup_epochs': '500' }, 'scheduler_kwargs.warmup_epochs'],
    [
      'a first epoch at rate 0',
      { 'scheduler_kwargs.warmup_epochs': '10', 'scheduler_kwargs.warmup_start_factor': '0' },
      'scheduler_kwargs.warmup_start_factor',
    ],
    ['parts that do not divide the batch', { batch_size: '128', accumulate_steps: '3' }, 'accumulate_steps'],
    ['another precision', { precision: 'float64' }, 'precision'],
    ['a loss scale without float16', { precision: 'bfloat16', loss_scale: '1024' }, 'loss_scale'],
    ['an unknown check', { 'evaluation.linear_prob': 'true' }, 'evaluation.linear_prob'],
    [
      'scale upside down',
      { 'augmentation_kwargs.random_resized_crop.scale': '[1, 0.2]' },
      'augmentation_kwargs.random_resized_crop.scale',
    ],
  ])('refuses %s', (_, overrides, field) => {
    const error = faults(() => readExperiment({ text: cifar10, overrides: overrides as Record<string, string> }));
    expect(error.violations.map((violation) => violation.field)).toContain(field);
  });

  const bomb = Array.from({ length: 9 }, (_, i) => `k${i + 1}: &k${i + 1} [${Array(9).fill(`*k${i}`).join(', ')}]`);

  it.each([
    ['a key below a value', 'epochs.x', '1', "'epochs' is 500, which has no keys"],
    ['broken YAML', 'epochs', '[1', 'not YAML'],
    ['an unknown alias', 'epochs', '*a', 'not YAML'],
    ['a circular alias', 'epochs', '&a [*a]', 'not YAML'],
    ['an alias bomb', 'epochs', ['k0: &k0 [1, 2]', ...bomb].join('\n'), 'not YAML'],
    ['a tag', 'epochs', '!!js/function "() => 1"', 'not YAML'],
    ['deep nesting', 'epochs', '['.repeat(50_000), 'not YAML'],
    ['two documents', 'epochs', '1\n---\n2', 'not YAML'],
    ['a key without a name', 'optimizer_kwargs.', '1', 'keys joined by dots'],
    ['a value out of range', 'epochs', '-1', 'got -1; allowed: a whole number from 1'],
    ['a value for a mapping', 'optimizer_kwargs', '5', 'got 5; allowed: a mapping with the keys nesterov'],
  ])('names file and key of an override with %s', (_, key, value, expected) => {
    const error = faults(() => readExperiment({ text: cifar10, file: 'exp.yml', overrides: { [key]: value } }));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field: key }] });
    expect(error.message).toContain(`exp.yml, overridden: ${key}: `);
    expect(error.message).toContain(expected);
  });

  it('names the override that a faulty value below it came by', () => {
    const overrides = { criterion_kwargs: '{temperature: 0}' };
    const error = faults(() => readExperiment({ text: cifar10, file: 'exp.yml', overrides }));
    expect(error.message).toMatch(/^exp\.yml, overridden: criterion_kwargs\.temperature: got 0/);
  });

  it('changes a value where it is overridden, not where an alias repeats it', () => {
    const wholeFile = JSON.parse(canonicalJson(readExperiment({ text: cifar10 }))) as Record<string, never>;
    const { transformation_kwargs: _, ...others } = wholeFile;
    const flow = JSON.stringify(others).replace('"normalize":{', '"normalize":&norm {');
    const text = flow.replace(/}$/, ', "transformation_kwargs": {"crop_size": 32, "normalize": *norm}}');
    const overrides = { 'transformation_kwargs.normalize.mean': '[0, 0, 0]' };
    const experiment = readExperiment({ text, overrides });
    expect(experiment.transformation_kwargs.normalize.mean).toEqual([0, 0, 0]);
    expect(experiment.augmentation_kwargs.normalize.mean[0]).toBeGreaterThan(0.4);
  });

  it('writes no warnings of the parser', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    faults(() => readExperiment({ text: cifar10, overrides: { epochs: '!!js/function "() => 1"' } }));
    faults(() => readExperiment({ text: 'epochs: !!js/function "() => 1"' }));
    faults(() => readExperiment({ text: '? [a, b]\n: 1' }));
    expect(warn).not.toHaveBeenCalled();
  });

  it('refuses what is not YAML or no mapping', () => {
    expect(faults(() => readExperiment({ text: 'a: [1', file: 'x.yml' })).message).toMatch(/^x\.yml:1: not YAML/);
    for (const text of ['- 1', '5', 'words']) {
      const { code, message } = faults(() => readExperiment({ text, file: 'x.yml' }));
      expect(code).toBe('INVALID_ARGUMENT');
      expect(message).toMatch(/^x\.yml:1: got .*; allowed: a mapping with the keys setup, backbone/);
    }
    const overrides = { epochs: '1' };
    expect(faults(() => readExperiment({ text: '- 1', file: 'x.yml', overrides })).message).toContain(
      'the file is [1]',
    );
    expect(faults(() => readExperiment({ text: '', file: 'x.yml' })).violations.length).toBeGreaterThan(5);
  });

  it('reads the environment file', () => {
    expect(readEnvironment({ text: 'root_dir: /results' })).toEqual({ root_dir: '/results' });
    expect(faults(() => readEnvironment({ text: 'rootdir: /r', file: 'env.yml' })).message).toContain('root_dir');
    expect(faults(() => readEnvironment({ text: '', file: 'env.yml' })).message).toBe(
      'env.yml: root_dir: missing; allowed: the path of the results folder',
    );
    expect(faults(() => readEnvironment({ text: '[]', file: 'env.yml' })).message).toMatch(/^env\.yml:1: got \[\]/);
  });
});

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
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
    expect(experiment).toMatchObject({ optimizer: 'sgd', accumulate_steps: 1 });
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

  it('refuses what is not YAML or no mapping', () => {
    expect(faults(() => readExperiment({ text: 'a: [1', file: 'x.yml' })).message).toMatch(/^x\.yml:1: not YAML/);
    expect(faults(() => readExperiment({ text: '- 1', file: 'x.yml' })).code).toBe('INVALID_ARGUMENT');
    expect(faults(() => readExperiment({ text: '', file: 'x.yml' })).violations.length).toBeGreaterThan(5);
  });

  it('reads the environment file', () => {
    expect(readEnvironment({ text: 'root_dir: /results' })).toEqual({ root_dir: '/results' });
    expect(faults(() => readEnvironment({ text: 'rootdir: /r', file: 'env.yml' })).message).toContain('root_dir');
  });
});

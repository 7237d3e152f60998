// The keys of an experiment file: those of the reference's pretext configurations, and a few of ours with defaults.
import { z } from 'zod';
import { flag, number, numbers, whole, word } from './values.js';

const normalize = z.strictObject({
  mean: numbers(3, () => true, 'three numbers, for red, green and blue'),
  std: numbers(3, (value) => value > 0, 'three numbers above 0, for red, green and blue'),
});

const datasetName = word('cifar-10', 'cifar-20', 'stl-10', 'folder', 'drawn');
const probability = number({ min: 0, max: 1 });

/** Schema of an experiment. Names and meanings are the reference's (`configs/pretext/*.yml`); "ours" marks additions. */
export const experimentSchema = z
  .strictObject({
    setup: word('simclr'),
    backbone: word('resnet18'),
    model_kwargs: z
      .strictObject({
        head: word('mlp', 'linear').default('mlp'),
        features_dim: whole(1, 65_536).default(128),
        // Ours: channels of the first stage; the paper's network has 64.
        width: whole(1, 1024).default(64),
        // Ours: the reference picks the form by dataset (STL-10 has its own).
        form: word('cifar', 'stl').optional(),
      })
      .prefault({}),
    train_db_name: datasetName,
    val_db_name: datasetName,
    num_classes: whole(1, 100_000),
    // Ours: how many images `drawn` draws, and from which seed.
    drawn_kwargs: z
      .strictObject({
        train_size: whole(10, 1_000_000).default(4_000),
        val_size: whole(10, 1_000_000).default(1_000),
        seed: whole(0, Number.MAX_SAFE_INTEGER).default(0),
      })
      .prefault({}),
    criterion: word('simclr'),
    criterion_kwargs: z.strictObject({ temperature: number({ above: 0, max: 100 }) }),
    epochs: whole(1, 100_000),
    optimizer: word('sgd'),
    optimizer_kwargs: z.strictObject({
      nesterov: flag().default(false),
      weight_decay: number({ min: 0, max: 1 }).default(0),
      momentum: number({ min: 0, below: 1 }).default(0),
      lr: number({ above: 0, max: 1000 }),
    }),
    scheduler: word('cosine', 'step', 'constant'),
    scheduler_kwargs: z
      .strictObject({
        lr_decay_rate: number({ above: 0, max: 1 }).default(0.1),
        lr_decay_epochs: numbers(null, (value) => Number.isInteger(value) && value >= 0, 'a list of epochs').default(
          [],
        ),
      })
      .prefault({}),
    batch_size: whole(2, 8192),
    // Accepted because the reference has it; the data-augmentation service sizes its own pool.
    num_workers: whole(0, 1024).default(0),
    augmentation_strategy: word('simclr'),
    augmentation_kwargs: z.strictObject({
      random_resized_crop: z.strictObject({
        size: whole(1, 1024),
        scale: numbers(2, (value) => value > 0 && value <= 1, 'two numbers above 0 to 1, the smaller first').default([
          0.2, 1,
        ]),
      }),
      color_jitter_random_apply: z.strictObject({ p: probability }),
      color_jitter: z.strictObject({
        brightness: number({ min: 0, max: 10 }),
        contrast: number({ min: 0, max: 10 }),
        saturation: number({ min: 0, max: 10 }),
        hue: number({ min: 0, max: 0.5 }),
      }),
      random_grayscale: z.strictObject({ p: probability }),
      normalize,
    }),
    transformation_kwargs: z.strictObject({ crop_size: whole(1, 1024), normalize }),
    // Ours: a step event for every so many steps.
    log_steps: whole(1, 1_000_000).default(10),
    // Ours: a checkpoint after every so many steps of the run; 0: after each epoch.
    checkpoint_steps: whole(0, 1_000_000_000).default(0),
    // Ours: the run ends well after so many steps; 0: after its last epoch.
    limit_steps: whole(0, 1_000_000_000).default(0),
    // Ours: the run ends well once kNN top-1 has not risen by more than `min_delta` percent for `patience` checks.
    early_stop: z
      .strictObject({
        metric: word('knn'),
        patience: whole(1, 100_000),
        min_delta: number({ min: 0, max: 100 }).default(0),
      })
      .optional(),
  })
  .superRefine((experiment, context) => {
    const [low = 0, high = 0] = experiment.augmentation_kwargs.random_resized_crop.scale;
    if (low > high) {
      context.addIssue({
        code: 'custom',
        path: ['augmentation_kwargs', 'random_resized_crop', 'scale'],
        message: `got [${low},${high}]; allowed: two numbers above 0 to 1, the smaller first`,
      });
    }
    if (experiment.optimizer_kwargs.nesterov && experiment.optimizer_kwargs.momentum === 0) {
      context.addIssue({
        code: 'custom',
        path: ['optimizer_kwargs', 'nesterov'],
        message: 'got true with momentum 0; allowed: false, or a momentum above 0',
      });
    }
  });

/** An experiment with every default filled in, in the reference's keys. */
export type Experiment = z.output<typeof experimentSchema>;

/** Schema of the environment file (`configs/env.yml`). */
export const environmentSchema = z.strictObject({
  root_dir: z.custom<string>((value) => typeof value === 'string' && value !== '', {
    error: ({ input }) => `got ${JSON.stringify(input)}; allowed: the path of the results folder`,
  }),
});

/** The environment file: where results go. */
export type Environment = z.output<typeof environmentSchema>;

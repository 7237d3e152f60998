// The keys of an experiment file: those of the reference's pretext configurations, and a few of ours with defaults.
import { isDatasetReference } from '@kindred/lineage';
import { z } from 'zod';
import { contradictionsIn, defaultMomentum } from './contradictions.js';
import { flag, number, numbers, text, whole, word, wordOr } from './values.js';

const normalize = z.strictObject({
  mean: numbers(3, () => true, 'three numbers, for red, green and blue'),
  std: numbers(3, (value) => value > 0, 'three numbers above 0, for red, green and blue'),
});

/** Ours: `folder`, `drawn`, and datasets that were pushed to the artifact store. */
const datasetName = wordOr(
  ['cifar-10', 'cifar-20', 'stl-10', 'folder', 'drawn'],
  isDatasetReference,
  "'artifact:NAME' or 'artifact:NAME@HASH'",
);
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
        train_size: whole(10, 100_000).default(4_000),
        val_size: whole(10, 100_000).default(1_000),
        seed: whole(0, Number.MAX_SAFE_INTEGER).default(0),
      })
      .prefault({}),
    criterion: word('simclr'),
    criterion_kwargs: z.strictObject({ temperature: number({ above: 0, max: 100 }) }),
    epochs: whole(1, 100_000),
    // Ours: `lars`, for large batches (You et al. 2017, as SimCLR uses it).
    optimizer: word('sgd', 'lars'),
    optimizer_kwargs: z.strictObject({
      nesterov: flag().default(false),
      weight_decay: number({ min: 0, max: 1 }).default(0),
      // Default: 0 for sgd, as PyTorch's; 0.9 for lars, as SimCLR's.
      momentum: number({ min: 0, below: 1 }).optional(),
      lr: number({ above: 0, max: 1000 }),
      // Ours, for lars: how far a layer may move relative to its norm. Default: 0.001, SimCLR's.
      trust_coefficient: number({ above: 0, max: 1 }).optional(),
    }),
    scheduler: word('cosine', 'step', 'constant'),
    scheduler_kwargs: z
      .strictObject({
        lr_decay_rate: number({ above: 0, max: 1 }).default(0.1),
        lr_decay_epochs: numbers(null, (value) => Number.isInteger(value) && value >= 0, 'a list of epochs').default(
          [],
        ),
        // Ours: epochs in which the rate rises linearly from `warmup_start_factor` of it (torch's LinearLR: a third); 0: none.
        warmup_epochs: whole(0, 100_000).default(0),
        warmup_start_factor: number({ min: 0, max: 1 }).default(1 / 3),
        // Ours: warm-up and cosine move at each step, not at each epoch as the reference's.
        per_step: flag().default(false),
      })
      .prefault({}),
    batch_size: whole(2, 8192),
    // Ours: parts of a batch that go through the network one after the other; the loss is that of the whole batch.
    accumulate_steps: whole(1, 4096).default(1),
    // Ours: what the network computes in while training; parameters and loss are float32 in each.
    precision: word('float32', 'bfloat16', 'float16').default('float32'),
    // Ours, for float16: what gradients are multiplied by in the network. Default: the trainer's, 1024.
    loss_scale: number({ above: 0, max: 2 ** 24 }).optional(),
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
    // Ours: checks after each epoch beside kNN on the embeddings. Both need labels and cost time.
    evaluation: z
      .strictObject({
        // Logistic regression on the frozen backbone's features, until it has converged.
        linear_probe: flag().default(false),
        // Weighted kNN on the backbone's features, K = 200, as lightly reports it.
        backbone_knn: flag().default(false),
      })
      .prefault({}),
    // Ours: files for TensorBoard in the artifact store; 0 images: no projector.
    tensorboard: z
      .strictObject({
        scalars: flag().default(true),
        projector_images: whole(0, 10_000).default(1_000),
      })
      .prefault({}),
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
    for (const { path, message } of contradictionsIn(experiment)) context.addIssue({ code: 'custom', path, message });
  })
  .transform((experiment) => ({
    ...experiment,
    optimizer_kwargs: withOptimizerDefaults(experiment.optimizer, experiment.optimizer_kwargs),
  }));

/** Fills in the defaults that depend on the optimizer. */
function withOptimizerDefaults<T extends { momentum?: number | undefined; trust_coefficient?: number | undefined }>(
  optimizer: 'sgd' | 'lars',
  options: T,
): T & { momentum: number } {
  const { momentum, trust_coefficient: trust } = options;
  if (optimizer === 'sgd') return { ...options, momentum: momentum ?? defaultMomentum.sgd };
  return { ...options, momentum: momentum ?? defaultMomentum.lars, trust_coefficient: trust ?? 0.001 };
}

/** An experiment with every default filled in, in the reference's keys. */
export type Experiment = z.output<typeof experimentSchema>;

/** Schema of the environment file (`configs/env.yml`). */
export const environmentSchema = z.strictObject({
  root_dir: text('the path of the results folder'),
});

/** The environment file: where results go. */
export type Environment = z.output<typeof environmentSchema>;

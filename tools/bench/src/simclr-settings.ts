// The settings of the reference's CIFAR-10 pretext configuration that all suites share.

/** Augmentation: `augmentation_kwargs` of the reference (SimCLR, Chen et al. 2020, at 32 pixels). */
export const simclrAugmentation = {
  random_resized_crop: { size: 32, scale: [0.2, 1] },
  color_jitter_random_apply: { p: 0.8 },
  color_jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
  random_grayscale: { p: 0.2 },
  normalize: { mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] },
};

/** An experiment in the reference's keys, as JSON (which is YAML). */
export function experimentOf({ width, batch, epochs }: { width: number; batch: number; epochs: number }): string {
  return JSON.stringify({
    setup: 'simclr',
    backbone: 'resnet18',
    model_kwargs: { head: 'mlp', features_dim: 128, width },
    train_db_name: 'cifar-10',
    val_db_name: 'cifar-10',
    num_classes: 10,
    criterion: 'simclr',
    criterion_kwargs: { temperature: 0.1 },
    epochs,
    optimizer: 'sgd',
    optimizer_kwargs: { nesterov: false, weight_decay: 0.0001, momentum: 0.9, lr: 0.1 },
    scheduler: 'constant',
    batch_size: batch,
    num_workers: 2,
    augmentation_strategy: 'simclr',
    augmentation_kwargs: simclrAugmentation,
    transformation_kwargs: { crop_size: 32, normalize: simclrAugmentation.normalize },
  });
}

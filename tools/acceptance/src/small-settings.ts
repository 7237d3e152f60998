/** Of the demonstration's experiment: epochs of 8 steps; a checkpoint at every third step, at the best check and at the end. */
export const smallSettings = {
  batch_size: '8',
  log_steps: '1',
  checkpoint_steps: '3',
  'model_kwargs.width': '4',
  'model_kwargs.features_dim': '16',
  'drawn_kwargs.train_size': '64',
  'drawn_kwargs.val_size': '32',
  'augmentation_kwargs.random_resized_crop.size': '16',
  'transformation_kwargs.crop_size': '16',
  'optimizer_kwargs.lr': '0.05',
};

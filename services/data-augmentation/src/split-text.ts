// Splits as this service names them, and as the datasets' library does.
import type { SplitName } from './dataset-key.js';

/** The library's name of each split. */
export const splitTexts: Readonly<Record<SplitName, string>> = {
  train: 'train',
  validation: 'val',
  unlabeled: 'unlabeled',
  'train+unlabeled': 'train+unlabeled',
};

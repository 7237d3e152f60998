// Our sides' entry files, named here because an entry is found beside the module that names it.
import { workerEntry } from '@kindred/workers';

/** Entry of the suite `training`. */
export const trainingStepEntry = workerEntry(import.meta.url, 'training-step');

/** Entry of the suite `augmentation`. */
export const simclrViewsEntry = workerEntry(import.meta.url, 'simclr-views');

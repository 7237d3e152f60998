// Our sides' entry files, named here because an entry is found beside the module that names it.
import { workerEntry } from '@kindred/workers';

/** Entry of the suites `steps` and `memory`. */
export const trainingStepEntry = workerEntry(import.meta.url, 'training-step');

/** Entry of the suite `augmentation`. */
export const simclrViewsEntry = workerEntry(import.meta.url, 'simclr-views');

/** Entry of the suite `mining`. */
export const minedVectorsEntry = workerEntry(import.meta.url, 'mined-vectors');

/** Entry of the suite `compile`. */
export const compiledStepEntry = workerEntry(import.meta.url, 'compiled-step');

/** Entry of the suite `artifacts`. */
export const storedObjectEntry = workerEntry(import.meta.url, 'stored-object');

/** Entry of the suite `embedding`: the network without a service. */
export const frozenForwardEntry = workerEntry(import.meta.url, 'frozen-forward');

/** Entry of the suite `neighbors-flat`. */
export const flatSearchEntry = workerEntry(import.meta.url, 'flat-search');

/** Entry of our own load client. */
export const callLoadEntry = workerEntry(import.meta.url, 'call-load');

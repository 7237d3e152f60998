// What a caller may ask of a data set, and the progress that it hears.
import { KindredError, invalidField } from '@kindred/errors';

/** How far a long piece of work is. */
export interface DatasetProgress {
  /** `measure` and `decode` count images, `read` counts files, `draw` counts images, `download` counts bytes. */
  readonly phase: 'read' | 'measure' | 'decode' | 'draw' | 'download' | 'extract';
  readonly done: number;
  /** `null` while it is not known. */
  readonly total: number | null;
}

/** What {@link openDataset} takes. */
export interface OpenDatasetOptions {
  /** One of `datasetNames`; NOT_FOUND for others. */
  readonly name: string;
  /** `train`, `val` (also `test`); STL-10 also `unlabeled` and `train+unlabeled`; folders also `all`. */
  readonly split: string;
  /** Folder (or for `folder` also .zip file) that holds the data; not read by `drawn`. */
  readonly root?: string;
  /** Seed of `drawn`. @default 0 */
  readonly seed?: number;
  /** Images of `drawn`, per split. @default 4000 for train, 1000 for val */
  readonly count?: number;
  /** Images decoded at a time, of folders. @default 8 */
  readonly concurrency?: number;
  readonly onProgress?: (progress: DatasetProgress) => void;
  /** Ends the work with CANCELLED. */
  readonly signal?: AbortSignal;
}

/** The root folder, or INVALID_ARGUMENT when a data set that needs one was asked for without. */
export function requiredRoot({ name, root }: OpenDatasetOptions): string {
  if (root === undefined || root === '') {
    throw invalidField('root', `got none; data set '${name}' needs the folder that holds its files`);
  }
  return root;
}

/** Throws CANCELLED once `signal` is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted === true)
    throw new KindredError('CANCELLED', `${what}: cancelled by the caller`, { cause: signal.reason });
}

/** NOT_FOUND for a split that a data set does not have. */
export function unknownSplit(name: string, split: string, known: readonly string[]): KindredError {
  return new KindredError('NOT_FOUND', `data set '${name}' has no split '${split}'; known: ${known.join(', ')}`, {
    resource: { type: 'dataset', name: `${name}/${split}` },
    violations: [{ field: 'split', description: `got '${split}'; allowed: ${known.join(', ')}` }],
  });
}

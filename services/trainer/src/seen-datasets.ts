// Which datasets a training process has read, by the hashes of what it was given.
import { Split } from '@kindred/protocol/augmentation';
import type { BatchReader } from './batch-reader.js';

/** A dataset split that was read. */
export interface SeenDataset {
  /** E.g. `cifar-10/train`. */
  readonly id: string;
  /** SHA-256 of its content, lower-case hexadecimal. */
  readonly sha256: string;
}

/** A reader that remembers. */
export interface RememberingReader extends BatchReader {
  /** Every content that was read so far, by id; more than one of an id where the dataset was changed meanwhile. */
  readonly seen: () => SeenDataset[];
}

const splitNames: Record<Split, string> = {
  [Split.UNSPECIFIED]: 'train',
  [Split.TRAIN]: 'train',
  [Split.VALIDATION]: 'validation',
  [Split.UNLABELED]: 'unlabeled',
  [Split.TRAIN_AND_UNLABELED]: 'train-and-unlabeled',
};

/** Makes a reader that hands on what `reader` reads and remembers which datasets that was. */
export function rememberDatasets(reader: BatchReader): RememberingReader {
  const seen = new Map<string, SeenDataset>();
  return {
    async *stream(request, ahead) {
      const { dataset } = request;
      for await (const batch of reader.stream(request, ahead)) {
        if (dataset !== undefined && batch.contentSha256 !== '') {
          const id = `${dataset.name}/${splitNames[dataset.split]}`;
          seen.set(`${id} ${batch.contentSha256}`, { id, sha256: batch.contentSha256 });
        }
        yield batch;
      }
    },
    close: () => reader.close(),
    seen: () => [...seen.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
  };
}

// The dataset jobs: what can be known to be wrong is told at once, the rest is work in the background.
import { checkedKey, type ArtifactStore } from '@kindred/artifact-store';
import { KindredError, invalidField, isKindredError } from '@kindred/errors';
import type { DatasetReference } from '@kindred/protocol/augmentation';
import type { StartEmbedDatasetRequest } from '@kindred/protocol/embedding';
import { createJobs, type Job, type Jobs } from '@kindred/service-runtime';
import { embedDataset, type DatasetEmbeddingProgress } from './dataset-embedding.js';
import type { ServedModels } from './models/served-models.js';
import { withPatience, type Peers } from './peers.js';
import { featureKindFromWire, modelFromWire, splitText } from './wire.js';

/** The dataset jobs of the process. */
export interface DatasetJobs extends Pick<Jobs<DatasetEmbeddingProgress>, 'get' | 'watch' | 'cancel' | 'close'> {
  /**
   * Starts a job. NOT_FOUND: no such model, dataset or index; INVALID_ARGUMENT: an index of another dimension, a key prefix
   * outside `features/`. A service that does not answer makes a job that fails.
   */
  start(request: StartEmbedDatasetRequest): Promise<Job<DatasetEmbeddingProgress>>;
}

/** What jobs work with. */
export interface DatasetJobsParts {
  readonly store: ArtifactStore;
  readonly models: ServedModels;
  readonly peers: Peers;
}

/** Makes the set of jobs; at most `maxRunning` run at one time. */
export function createDatasetJobs({ store, models, peers }: DatasetJobsParts, maxRunning: number): DatasetJobs {
  const jobs = createJobs<DatasetEmbeddingProgress>('dataset embedding', maxRunning);
  return {
    async start(request) {
      const { dataset, indexId, keyPrefix } = request;
      if (dataset === undefined) throw invalidField('dataset', 'got nothing; needed: the dataset to embed');
      const kind = featureKindFromWire(request.featureKind);
      // The version of this moment embeds the whole of it, however long that takes.
      const { served, release } = await models.acquire(modelFromWire(request.model, 'model'));
      try {
        const { facts, model } = served;
        const dimension = kind === 'backbone' ? facts.backboneDimension : facts.embeddingDimension;
        const ownPrefix = `features/${model.name}/${keyPart(dataset.name)}-${splitText(dataset.split)}`;
        const prefix = keyPrefix === '' ? ownPrefix : allowedPrefix(keyPrefix);
        const field = keyPrefix === '' ? 'dataset.name' : 'key_prefix';
        const [featuresKey, labelsKey] = [keyOf(prefix, 'features', field), keyOf(prefix, 'labels', field)];
        const total = await ifAnswered(sizeOf(peers, dataset));
        if (indexId !== '') await ifAnswered(checkIndex(peers, indexId, dimension));
        const initial = { completed: 0, total: total ?? 0, dimension, featuresKey: '', labelsKey: '' };
        return jobs.start(initial, async (context) => {
          try {
            const size = total ?? (await withPatience(peers.retryMs, context.signal, () => sizeOf(peers, dataset)));
            context.report({ total: size });
            const job = { dimension, kind, dataset, total: size, indexId, featuresKey, labelsKey };
            await embedDataset(job, { store, peers, served }, context);
          } finally {
            release();
          }
        });
      } catch (thrown) {
        release();
        throw thrown;
      }
    },
    get: (id) => jobs.get(id),
    watch: (id, signal) => jobs.watch(id, signal),
    cancel: (id) => jobs.cancel(id),
    close: () => jobs.close(),
  };
}

/** A dataset's name as part of a key: `artifact:cats@1f2e…` has characters that a key has not. */
function keyPart(name: string): string {
  return name.replace(/[^A-Za-z0-9._=-]/g, '-');
}

/** Only features are this service's to write: runs, models and indexes are not for callers to replace. */
function allowedPrefix(prefix: string): string {
  if (prefix.startsWith('features/')) return prefix;
  throw invalidField('key_prefix', `got '${prefix}'; allowed: features/…`);
}

/** Key of one file. @throws KindredError INVALID_ARGUMENT, by the `field` that made the prefix, for what no key can be. */
function keyOf(prefix: string, file: string, field: string): string {
  try {
    return checkedKey(`${prefix}-${file}.npy`);
  } catch {
    const got = prefix.length > 200 ? `'${prefix.slice(0, 200)}…', ${prefix.length} characters` : `'${prefix}'`;
    const allowed = "segments of letters, digits, '.', '_', '=', '-' joined by '/', at most 1000 characters";
    throw invalidField(field, `got ${got} as the beginning of a key; allowed: ${allowed}`);
  }
}

async function sizeOf({ augmentation }: Peers, dataset: DatasetReference): Promise<number> {
  const { description } = await augmentation.getDataset({ dataset });
  return description?.size ?? 0;
}

async function checkIndex({ neighbors }: Peers, indexId: string, dimension: number): Promise<void> {
  const { collection } = await neighbors.getCollection({ collection: indexId });
  const found = collection?.config?.dimension ?? 0;
  if (found === dimension) return;
  throw new KindredError(
    'INVALID_ARGUMENT',
    `collection '${indexId}' holds vectors of ${found} numbers; this model gives ${dimension}`,
    {
      violations: [{ field: 'index_id', description: `got a collection of dimension ${found}; allowed: ${dimension}` }],
      resource: { type: 'collection', name: indexId },
    },
  );
}

/** The answer, or `null` from a service that is not there: the job finds out whether it comes back. */
async function ifAnswered<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (thrown) {
    if (isKindredError(thrown, 'UNAVAILABLE')) return null;
    throw thrown;
  }
}

// What follows training: embed a split into a collection, mine its neighbours. Each step can be done again from its start.
import { KindredError } from '@kindred/errors';
import { JobState, type EmbedDatasetJob } from '@kindred/protocol/embedding';
import { MiningState, type MiningJob } from '@kindred/protocol/neighbors';
import type { DatasetReference } from '@kindred/protocol/augmentation';
import { formatDuration } from './quantities.js';
import type { Session } from './session.js';
import { errorCodeOf } from './watch-run.js';

/** One split on its way from images to neighbours. */
export interface NeighborStep {
  /** `training` or `validation`, for people. */
  readonly title: string;
  /** `train` or `val`: ends the collection's name. */
  readonly split: 'train' | 'val';
  readonly runId: string;
  readonly model: string;
  readonly dimension: number;
  readonly dataset: DatasetReference;
  /** Neighbours an image. */
  readonly k: number;
}

/** What a split's steps have given. */
export interface NeighborResult {
  readonly indexId: string;
  readonly embedding: EmbedDatasetJob;
  readonly mining: MiningJob;
}

/** Name of the collection that holds a run's vectors of one split. */
export function indexIdOf(runId: string, split: 'train' | 'val'): string {
  return `${runId}-${split}`;
}

/** Key of the neighbour file, named as the reference names it. */
export function neighborsKey(runId: string, split: 'train' | 'val'): string {
  return `runs/${runId}/topk-${split}-neighbors.npy`;
}

/** Embeds and mines one split; after the loss of a service the whole split is done again. */
export function embedAndMine(session: Session, step: NeighborStep): Promise<NeighborResult> {
  return session.persist(async () => {
    const indexId = indexIdOf(step.runId, step.split);
    await session.neighbors.deleteCollection({ collection: indexId }, { signal: session.signal });
    const description = `${step.title} images of ${step.dataset.name} by run ${step.runId}`;
    await session.neighbors.createCollection(
      { collection: indexId, config: { dimension: step.dimension, description } },
      { signal: session.signal },
    );
    const embedding = await embed(session, step, indexId);
    const mining = await mine(session, step, indexId);
    return { indexId, embedding, mining };
  });
}

async function embed(session: Session, step: NeighborStep, indexId: string): Promise<EmbedDatasetJob> {
  const { embedding, output, signal } = session;
  const began = Date.now();
  const { job } = await embedding.startEmbedDataset({ model: step.model, dataset: step.dataset, indexId }, { signal });
  let current = required(job, 'embedding');
  const bar = output.bar(`embedding ${step.title} images`, Math.max(1, current.total));
  try {
    for await (const answer of embedding.watchEmbedDataset({ jobId: current.jobId }, { signal })) {
      current = required(answer.job, 'embedding');
      const rate = current.completed / ((Date.now() - began) / 1000);
      bar.update(
        current.completed,
        `${rate.toFixed(0)} images/s  ${formatDuration((current.total - current.completed) / rate)} left`,
      );
      output.event('embedding', { split: step.split, completed: current.completed, total: current.total });
    }
  } finally {
    bar.stop();
  }
  checkEnd('embedding', JobState[current.state], current);
  const seconds = (Date.now() - began) / 1000;
  output.text(`embedded ${current.total} ${step.title} images in ${formatDuration(seconds)}`);
  return current;
}

async function mine(session: Session, step: NeighborStep, indexId: string): Promise<MiningJob> {
  const { neighbors, output, signal } = session;
  const began = Date.now();
  const key = neighborsKey(step.runId, step.split);
  const { job } = await neighbors.startMining({ collection: indexId, k: step.k, key }, { signal });
  let current = required(job, 'mining');
  const bar = output.bar(`mining ${step.title} neighbours`, Math.max(1, Number(current.total)));
  try {
    for await (const answer of neighbors.watchMining({ jobId: current.jobId }, { signal })) {
      current = required(answer.job, 'mining');
      bar.update(Number(current.completed), '');
      output.event('mining', { split: step.split, completed: current.completed, total: current.total });
    }
  } finally {
    bar.stop();
  }
  checkEnd('mining', MiningState[current.state], current);
  const accuracy = current.accuracy === undefined ? '' : `, ${current.accuracy.toFixed(1)} % of them of the same class`;
  const seconds = (Date.now() - began) / 1000;
  output.text(`mined ${step.k} neighbours of each ${step.title} image in ${formatDuration(seconds)}${accuracy}`);
  return current;
}

function required<T>(job: T | undefined, kind: string): T {
  if (job === undefined) throw new KindredError('INTERNAL', `the service gave no ${kind} job`);
  return job;
}

/** A job that is still running when its stream ends has lost its service. */
function checkEnd(
  kind: string,
  state: string | undefined,
  job: { readonly errorCode: string; readonly errorMessage: string },
): void {
  if (state === 'SUCCEEDED') return;
  if (state === 'FAILED') throw new KindredError(errorCodeOf(job.errorCode), `${kind} failed: ${job.errorMessage}`);
  if (state === 'CANCELLED') throw new KindredError('ABORTED', `the ${kind} job was cancelled by someone else`);
  throw new KindredError('UNAVAILABLE', `the ${kind} job's stream ended before the job did`);
}

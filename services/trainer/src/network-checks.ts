// The network as it stands, looked at from outside: kNN on its embeddings, checks of its backbone, TensorBoard's projector.
import { KindredError, isKindredError, toKindredError } from '@kindred/errors';
import type { Embeddings, Trainer } from '@kindred/tensorflow-native';
import { checkBackbone, type BackboneResult } from './backbone-checks.js';
import { allFinite, notFinite } from './finite.js';
import { checkKnn, type KnnResult } from './knn-check.js';
import { batchesAhead, knnNeighbours, type TrainingPlan } from './plan.js';
import type { Progress } from './progress.js';
import { projectImages, projectorFiles } from './projector.js';
import { runKey } from './run.js';
import type { TrainingJob, TrainingSurroundings } from './training-job.js';

/** What the checks have found. */
export type Checks = KnnResult & BackboneResult;

/** The kNN check of the embeddings, and those of the backbone that are asked for, from one pass over the images. */
export async function checkNetwork(
  trainer: Trainer,
  plan: TrainingPlan,
  progress: Progress,
  { reader, signal }: TrainingSurroundings,
): Promise<Checks> {
  const { linearProbe, backboneKnn } = plan.evaluation;
  const between = (): void => throwIfCancelled(signal);
  const embed = (images: Uint8Array, count: number): Embeddings => {
    between();
    const embeddings = trainer.evaluate(images, count);
    // The last step may have overflowed after its loss was computed.
    if (allFinite(embeddings.embedding)) return embeddings;
    throw notFinite(`an embedding is not finite after ${progress.stepsCompleted} steps of the run`);
  };
  const result = await checkKnn(
    embed,
    reader.stream(plan.evaluationBatches('train', 0), batchesAhead),
    reader.stream(plan.evaluationBatches('validation', 0), batchesAhead),
    {
      k: knnNeighbours,
      temperature: plan.temperature,
      classes: plan.classes,
      withBackbone: linearProbe || backboneKnn,
      search: trainer.findNeighbours,
    },
  );
  if (result.backbone === null) return { ...result, knnTop1: null, probe: null };
  const { training, validation } = result.backbone;
  const checks = { linearProbe, backboneKnn, classes: plan.classes, between, search: trainer.findNeighbours };
  return { ...result, ...(await checkBackbone(training, validation, checks)) };
}

/** Reports the checks of the network after `epochsTrained` epochs, begun at `started` (of `performance.now()`). */
export function reportChecks(
  { top1, knnTop1, probe }: Checks,
  epochsTrained: number,
  started: number,
  { emit }: TrainingSurroundings,
): void {
  const seconds = (performance.now() - started) / 1000 - (probe?.seconds ?? 0);
  emit({ kind: 'knn', epochsTrained, top1, seconds, ...(knnTop1 === null ? {} : { backboneTop1: knnTop1 }) });
  if (probe !== null) emit({ kind: 'linear-probe', epochsTrained, ...probe });
}

/**
 * Shows some validation images, as the trained network embeds them, in TensorBoard's projector. Only a view of a model
 * that is written already: where it cannot be made, a notice says why.
 * @throws KindredError CANCELLED when aborted.
 */
export async function saveProjector(
  { specification: { runId } }: Pick<TrainingJob, 'specification'>,
  plan: Pick<TrainingPlan, 'projectorImages' | 'cropSize' | 'evaluationBatches'>,
  trainer: Pick<Trainer, 'evaluate'>,
  { reader, artifacts, signal, notify }: Pick<TrainingSurroundings, 'reader' | 'artifacts' | 'signal' | 'notify'>,
): Promise<void> {
  if (plan.projectorImages === 0) return;
  try {
    const batches = reader.stream(plan.evaluationBatches('validation', 0), batchesAhead);
    const embed = (images: Uint8Array, count: number) => {
      throwIfCancelled(signal);
      return trainer.evaluate(images, count);
    };
    const projected = await projectImages(batches, embed, plan.projectorImages, plan.cropSize);
    for (const { name, content } of await projectorFiles(projected)) {
      await artifacts.put(runKey(runId, `tensorboard/${name}`), content);
    }
  } catch (thrown) {
    if (isKindredError(thrown, 'CANCELLED')) throw thrown;
    notify(`no images in TensorBoard's projector: ${toKindredError(thrown).message}`);
  }
}

function throwIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw new KindredError('CANCELLED', 'the run was cancelled');
}

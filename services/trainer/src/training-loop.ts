// The pretext task: for each epoch train, fill the memory bank, classify by kNN, checkpoint (SCAN §3.1, SimCLR §2).
import { KindredError, toKindredError } from '@kindred/errors';
import type { ManifestFile } from '@kindred/lineage';
import { encodeModelFile, learningRate, modelSpecification, parameterSize } from '@kindred/simclr';
import { createTrainer, loadTensorFlow, type Trainer } from '@kindred/tensorflow-native';
import type { ArtifactStore } from '@kindred/artifact-store';
import type { BatchReader } from './batch-reader.js';
import { restoreState, saveState, type RestoredState } from './checkpointing.js';
import { trainEpoch, type EpochStand } from './epoch.js';
import { checkNetwork, reportChecks, saveProjector } from './network-checks.js';
import { createPlan, batchesAhead, type TrainingPlan } from './plan.js';
import { afterEpoch, beginning, isCheckpointDue, isOver, stopReason, type Progress } from './progress.js';
import { runKey } from './run.js';
import { modelName, recordModel } from './run-lineage.js';
import type { TrainingJob, TrainingSurroundings } from './training-job.js';

/** Trains a run to its end. Returns the keys of what it wrote. @throws KindredError CANCELLED when aborted. */
export async function runTraining(job: TrainingJob, surroundings: TrainingSurroundings): Promise<string[]> {
  const plan = createPlan(job.specification);
  const start = await restoreState(job, plan, surroundings.artifacts);
  // Before the network is compiled for it: a batch larger than the dataset would take gigabytes to be refused.
  const stepsPerEpoch = start.progress.stepsCompleted === 0 ? await countSteps(plan, surroundings.reader) : null;
  const { tensorFlow } = job;
  loadTensorFlow(tensorFlow);
  const trainer = createTrainer({
    architecture: plan.architecture,
    parameters: start.parameters,
    momentum: start.progress.stepsCompleted === 0 ? undefined : start.momentum,
    optimizer: plan.optimizer,
    temperature: plan.temperature,
    normalisation: plan.normalisation,
    batchSize: plan.batchSize,
    accumulateSteps: plan.accumulateSteps,
    precision: plan.precision,
    lossScale: plan.lossScale,
    imageSize: { height: plan.cropSize, width: plan.cropSize },
    tensorFlow,
  });
  try {
    surroundings.onStep(start.progress.stepsCompleted);
    if (stepsPerEpoch !== null) await beforeFirstEpoch(trainer, plan, stepsPerEpoch, surroundings);
    const end = await trainEpochs(job, plan, trainer, start, surroundings);
    reportStop(end, plan, surroundings);
    const model = await saveModel(job, plan, trainer, end, surroundings.artifacts);
    await traceModel(job, model, end, surroundings);
    await saveProjector(job, plan, trainer, surroundings);
    return [model.key];
  } finally {
    trainer.dispose();
  }
}

async function trainEpochs(
  job: TrainingJob,
  plan: TrainingPlan,
  trainer: Trainer,
  start: RestoredState,
  surroundings: TrainingSurroundings,
): Promise<Progress> {
  const { reader, signal, emit } = surroundings;
  let { progress, elapsed } = start;
  let tensorLimit = Infinity;
  while (!isOver(progress, plan)) {
    const epoch = progress.epochsCompleted;
    const result = await trainEpoch(
      trainer,
      plan,
      { progress, elapsed },
      {
        batches: reader.stream(plan.trainingBatches(epoch, progress.epochSteps), batchesAhead),
        rate: (step, batchCount) => {
          const progressed = plan.ratePerStep ? epoch + step / batchCount : epoch;
          return learningRate(plan.schedule, plan.baseRate, progressed, plan.epochs);
        },
        signal,
        emit,
        async between(stand) {
          surroundings.onStep(stand.progress.stepsCompleted);
          if (isCheckpointDue(stand.progress, plan)) {
            await saveState(job, plan, trainer, { ...stand, knnTop1: null }, surroundings);
          }
          return isOver(stand.progress, plan);
        },
      },
    );
    progress = result.progress;
    if (result.stopped) break;
    surroundings.onStep(progress.stepsCompleted);
    tensorLimit = reportEpoch(result, plan, tensorLimit, surroundings);
    elapsed = { seconds: 0, waitedSeconds: 0 };
    const knnTop1 = await evaluate(trainer, plan, progress, surroundings);
    progress = afterEpoch(progress, knnTop1, plan);
    if (isCheckpointDue(progress, plan)) {
      await saveState(job, plan, trainer, { progress, elapsed, knnTop1 }, surroundings);
    }
  }
  return progress;
}

/** Returns the number of tensors alive, the most that there may be after the next epoch. */
function reportEpoch(
  { progress, elapsed: { seconds, waitedSeconds } }: EpochStand,
  plan: TrainingPlan,
  tensorLimit: number,
  { emit }: TrainingSurroundings,
): number {
  const { epochsCompleted: epoch, epochSteps, lossTotal } = progress;
  const tensorCount = loadTensorFlow().tf.memory().numTensors;
  emit({
    kind: 'epoch',
    epoch,
    meanLoss: lossTotal / epochSteps,
    seconds,
    pairsPerSecond: (epochSteps * plan.batchSize) / seconds,
    dataWaitFraction: waitedSeconds / seconds,
    residentBytes: process.memoryUsage.rss(),
    tensorCount,
  });
  if (tensorCount <= tensorLimit) return tensorCount;
  throw new KindredError(
    'INTERNAL',
    `tensors leak: ${tensorCount} after epoch ${epoch}, ${tensorLimit} after the one before`,
  );
}

/** Says why a run stops before its last epoch, if it does. */
function reportStop(progress: Progress, plan: TrainingPlan, { emit }: TrainingSurroundings): void {
  const reason = stopReason(progress, plan);
  if (reason === null) return;
  const { best, stepsCompleted } = progress;
  const message =
    reason === 'limit-steps'
      ? `limit_steps: ${stepsCompleted} steps are done`
      : `early_stop: kNN top-1 has not risen by more than ${plan.earlyStop?.minDelta} % in the last ${progress.checksSinceRise} checks`;
  emit({
    kind: 'stopped',
    reason,
    stepsCompleted,
    bestKnnTop1: best?.top1 ?? null,
    bestEpochsTrained: best?.epochsTrained ?? 0,
    message,
  });
}

async function beforeFirstEpoch(
  trainer: Trainer,
  plan: TrainingPlan,
  stepsPerEpoch: number,
  surroundings: TrainingSurroundings,
): Promise<void> {
  const started = performance.now();
  const checks = await checkNetwork(trainer, plan, beginning, surroundings);
  const { trainSize, validationSize } = checks;
  const trainable = modelSpecification(plan.architecture).filter((parameter) => parameter.trainable);
  surroundings.emit({
    kind: 'started',
    trainSize,
    validationSize,
    stepsPerEpoch,
    epochs: plan.epochs,
    parameterCount: trainable.reduce((total, { shape }) => total + parameterSize(shape), 0),
    device: trainer.device,
    limitSteps: plan.limitSteps,
  });
  reportChecks(checks, 0, started, surroundings);
}

/** Steps in an epoch, as the first batch of the first epoch says. An epoch without one step is the user's mistake. */
async function countSteps(plan: TrainingPlan, reader: BatchReader): Promise<number> {
  for await (const { batchCount } of reader.stream(plan.trainingBatches(0, 0), 1)) return batchCount;
  const description = `got ${plan.batchSize}; allowed: at most the number of training images`;
  throw new KindredError('INVALID_ARGUMENT', `batch_size: ${description}`, {
    violations: [{ field: 'batch_size', description }],
  });
}

/** The check after an epoch whose steps are done: kNN top-1 in percent. */
async function evaluate(
  trainer: Trainer,
  plan: TrainingPlan,
  progress: Progress,
  surroundings: TrainingSurroundings,
): Promise<number> {
  const started = performance.now();
  const checks = await checkNetwork(trainer, plan, progress, surroundings);
  reportChecks(checks, progress.epochsCompleted + 1, started, surroundings);
  return checks.top1;
}

async function saveModel(
  { specification }: TrainingJob,
  plan: TrainingPlan,
  trainer: Trainer,
  { epochsCompleted, stepsCompleted }: Progress,
  artifacts: ArtifactStore,
): Promise<ManifestFile> {
  const { runId, experiment, seed } = specification;
  const { architecture, normalisation, cropSize, imageSide: resizeSide } = plan;
  const { parameters } = trainer.state();
  const origin = {
    run: runId,
    dataset: experiment.train_db_name,
    epochs: String(epochsCompleted),
    steps: String(stepsCompleted),
    seed,
  };
  const key = runKey(runId, 'model.safetensors');
  const file = encodeModelFile({ architecture, parameters, normalisation, cropSize, resizeSide, origin });
  const { sha256, size } = await artifacts.put(key, file);
  return { key, sha256, size };
}

/** Says where the model comes from, and gives it a version. The model itself is stored: a fault here does not end the run. */
async function traceModel(
  { specification }: TrainingJob,
  model: ManifestFile,
  progress: Progress,
  { artifacts, seenDatasets, notify }: TrainingSurroundings,
): Promise<void> {
  try {
    await recordModel(artifacts, model, { specification, progress, datasets: seenDatasets() });
  } catch (thrown) {
    const repair = `kindred models register ${modelName(specification.experiment)} ${specification.runId}`;
    notify(`the model is stored, but not registered (${toKindredError(thrown).message}); register it by: ${repair}`);
  }
}

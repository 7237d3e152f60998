// The pretext task: for each epoch train, fill the memory bank, classify by kNN, checkpoint (SCAN §3.1, SimCLR §2).
import { KindredError } from '@kindred/errors';
import { canonicalJson } from '@kindred/experiment';
import { encodeModelFile, initialParameters, learningRate, modelSpecification, parameterSize } from '@kindred/simclr';
import { createTrainer, loadTensorFlow, type Trainer } from '@kindred/tensorflow-native';
import type { ArtifactStore } from '@kindred/artifact-store';
import type { BatchReader } from './batch-reader.js';
import { decodeCheckpoint, encodeCheckpoint, type Checkpoint } from './checkpoint.js';
import { trainEpoch } from './epoch.js';
import { checkKnn } from './knn-check.js';
import { createPlan, knnNeighbours, type TrainingPlan } from './plan.js';
import { checkpointKey, runKey, type EpochRecord, type RunEventBody, type RunSpecification } from './run.js';

/** What a training process is given. */
export interface TrainingJob {
  readonly specification: RunSpecification;
  /** Where to go on; null: from the beginning. */
  readonly checkpoint: Pick<EpochRecord, 'key' | 'sha256'> | null;
  /** Threads that one TensorFlow operation may use. */
  readonly threads: number;
}

/** What a training process works with. */
export interface TrainingSurroundings {
  readonly reader: BatchReader;
  readonly artifacts: ArtifactStore;
  readonly signal: AbortSignal;
  /** Reports an event. */
  emit(event: RunEventBody): void;
  /** Reports a checkpoint; resolves once the event history up to it is stored. */
  commit(checkpoint: Omit<EpochRecord, 'events'>): Promise<void>;
}

/** Batches that wait while a step runs: enough to hide a hiccup, few enough to stay small. */
const batchesAhead = 3;

/** Trains a run to its end. Returns the keys of what it wrote. @throws KindredError CANCELLED when aborted. */
export async function runTraining(job: TrainingJob, surroundings: TrainingSurroundings): Promise<string[]> {
  const plan = createPlan(job.specification);
  const experiment = canonicalJson(job.specification.experiment);
  const start = await startingPoint(job, plan, experiment, surroundings.artifacts);
  const tensorFlow = { intraOpThreads: job.threads };
  const { tf } = loadTensorFlow(tensorFlow);
  const trainer = createTrainer({
    architecture: plan.architecture,
    parameters: start.parameters,
    momentum: start.epochsCompleted === 0 ? undefined : start.momentum,
    optimizer: plan.optimizer,
    temperature: plan.temperature,
    normalisation: plan.normalisation,
    batchSize: plan.batchSize,
    imageSize: { height: plan.cropSize, width: plan.cropSize },
    tensorFlow,
  });
  try {
    let stepsCompleted = start.stepsCompleted;
    if (start.epochsCompleted === 0) await beforeFirstEpoch(trainer, plan, surroundings);
    let tensorLimit = Infinity;
    for (let epoch = start.epochsCompleted; epoch < plan.epochs; epoch++) {
      const result = await trainEpoch(trainer, plan, epoch, {
        batches: surroundings.reader.stream(plan.trainingBatches(epoch, 0), batchesAhead),
        rate: learningRate(plan.schedule, plan.baseRate, epoch, plan.epochs),
        signal: surroundings.signal,
        emit: surroundings.emit,
      });
      stepsCompleted += result.steps;
      const tensorCount = tf.memory().numTensors;
      surroundings.emit({
        kind: 'epoch',
        epoch,
        meanLoss: result.meanLoss,
        seconds: result.seconds,
        pairsPerSecond: (result.steps * plan.batchSize) / result.seconds,
        dataWaitFraction: result.dataWaitFraction,
        residentBytes: process.memoryUsage.rss(),
        tensorCount,
      });
      if (tensorCount > tensorLimit) {
        throw new KindredError(
          'INTERNAL',
          `tensors leak: ${tensorCount} after epoch ${epoch}, ${tensorLimit} after the first`,
        );
      }
      tensorLimit = tensorCount;
      await evaluate(trainer, plan, epoch + 1, surroundings);
      await saveCheckpoint(
        job,
        plan,
        { ...trainer.state(), epochsCompleted: epoch + 1, stepsCompleted, experiment },
        surroundings,
      );
    }
    return [await saveModel(job, plan, trainer, surroundings.artifacts)];
  } finally {
    trainer.dispose();
  }
}

async function startingPoint(
  { specification, checkpoint }: TrainingJob,
  plan: TrainingPlan,
  experiment: string,
  artifacts: ArtifactStore,
): Promise<Checkpoint> {
  if (checkpoint === null) {
    const seed = Number(BigInt.asUintN(32, plan.seed));
    const parameters = initialParameters(plan.architecture, seed);
    return { parameters, momentum: {}, epochsCompleted: 0, stepsCompleted: 0, experiment };
  }
  const loaded = decodeCheckpoint(await artifacts.get(checkpoint.key, checkpoint.sha256));
  if (loaded.experiment === experiment) return loaded;
  throw new KindredError(
    'FAILED_PRECONDITION',
    `${checkpoint.key} belongs to another experiment than run ${specification.runId}`,
  );
}

async function beforeFirstEpoch(
  trainer: Trainer,
  plan: TrainingPlan,
  surroundings: TrainingSurroundings,
): Promise<void> {
  const started = performance.now();
  const steps = await countSteps(plan, surroundings.reader);
  const { trainSize, validationSize, top1 } = await knn(trainer, plan, surroundings);
  const trainable = modelSpecification(plan.architecture).filter((parameter) => parameter.trainable);
  surroundings.emit({
    kind: 'started',
    trainSize,
    validationSize,
    stepsPerEpoch: steps,
    epochs: plan.epochs,
    parameterCount: trainable.reduce((total, { shape }) => total + parameterSize(shape), 0),
    device: trainer.device,
  });
  surroundings.emit({ kind: 'knn', epochsTrained: 0, top1, seconds: (performance.now() - started) / 1000 });
}

/** Steps in an epoch, as the first batch of the first epoch says. An epoch without one step is the user's mistake. */
async function countSteps(plan: TrainingPlan, reader: BatchReader): Promise<number> {
  for await (const { batchCount } of reader.stream(plan.trainingBatches(0, 0), 1)) return batchCount;
  const description = `got ${plan.batchSize}; allowed: at most the number of training images`;
  throw new KindredError('INVALID_ARGUMENT', `batch_size: ${description}`, {
    violations: [{ field: 'batch_size', description }],
  });
}

async function evaluate(
  trainer: Trainer,
  plan: TrainingPlan,
  epochsTrained: number,
  surroundings: TrainingSurroundings,
): Promise<void> {
  const started = performance.now();
  const { top1 } = await knn(trainer, plan, surroundings);
  surroundings.emit({ kind: 'knn', epochsTrained, top1, seconds: (performance.now() - started) / 1000 });
}

function knn(trainer: Trainer, plan: TrainingPlan, { reader, signal }: TrainingSurroundings) {
  const embed = (images: Uint8Array, count: number): Float32Array => {
    if (signal.aborted) throw new KindredError('CANCELLED', 'the run was cancelled');
    return trainer.evaluate(images, count).embedding;
  };
  return checkKnn(
    embed,
    reader.stream(plan.evaluationBatches('train', 0), batchesAhead),
    reader.stream(plan.evaluationBatches('validation', 0), batchesAhead),
    { k: knnNeighbours, temperature: plan.temperature, classes: plan.classes },
  );
}

async function saveCheckpoint(
  { specification: { runId } }: TrainingJob,
  plan: TrainingPlan,
  checkpoint: Checkpoint,
  { artifacts, emit, commit }: TrainingSurroundings,
): Promise<void> {
  const { epochsCompleted, stepsCompleted } = checkpoint;
  const key = checkpointKey(runId, epochsCompleted);
  const { sha256 } = await artifacts.put(key, encodeCheckpoint(plan.architecture, checkpoint));
  emit({ kind: 'checkpoint', epochsCompleted, key, sha256 });
  await commit({ epochsCompleted, stepsCompleted, key, sha256 });
}

async function saveModel(
  { specification }: TrainingJob,
  plan: TrainingPlan,
  trainer: Trainer,
  artifacts: ArtifactStore,
): Promise<string> {
  const { runId, experiment, seed } = specification;
  const { architecture, normalisation, cropSize } = plan;
  const { parameters } = trainer.state();
  const origin = { run: runId, dataset: experiment.train_db_name, epochs: String(plan.epochs), seed };
  const key = runKey(runId, 'model.safetensors');
  await artifacts.put(key, encodeModelFile({ architecture, parameters, normalisation, cropSize, origin }));
  return key;
}

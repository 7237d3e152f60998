// Writing a run's state to the artifact store, and reading it back to go on.
import { KindredError } from '@kindred/errors';
import { canonicalJson } from '@kindred/experiment';
import { initialParameters, type StateDict } from '@kindred/simclr';
import type { ArtifactStore } from '@kindred/artifact-store';
import type { Trainer } from '@kindred/tensorflow-native';
import { decodeCheckpoint, encodeCheckpoint } from './checkpoint.js';
import type { EpochStand } from './epoch.js';
import { allFinite, notFinite } from './finite.js';
import type { TrainingPlan } from './plan.js';
import { beginning, isBest } from './progress.js';
import { checkpointKey } from './run.js';
import type { TrainingJob, TrainingSurroundings } from './training-job.js';

/** What a training process begins with. */
export interface RestoredState extends EpochStand {
  readonly parameters: StateDict;
  /** Empty before the first step. */
  readonly momentum: StateDict;
}

/**
 * Reads the checkpoint that a job names, or makes the state before the first step.
 * @throws KindredError DATA_LOSS when it is damaged, FAILED_PRECONDITION when it belongs to another experiment or seed.
 */
export async function restoreState(
  { specification, checkpoint: checkpointed }: TrainingJob,
  plan: TrainingPlan,
  artifacts: Pick<ArtifactStore, 'get'>,
): Promise<RestoredState> {
  if (checkpointed === null) {
    const parameters = initialParameters(plan.architecture, Number(BigInt.asUintN(32, plan.seed)));
    return { parameters, momentum: {}, progress: beginning, elapsed: { seconds: 0, waitedSeconds: 0 } };
  }
  const { key, sha256 } = checkpointed.checkpoint;
  const { parameters, momentum, progress, seed, experiment } = decodeCheckpoint(await artifacts.get(key, sha256));
  if (seed === specification.seed && experiment === canonicalJson(specification.experiment)) {
    return { parameters, momentum, progress, elapsed: checkpointed.elapsed };
  }
  throw new KindredError(
    'FAILED_PRECONDITION',
    `${key} belongs to another experiment or seed than run ${specification.runId}`,
    { resource: { type: 'artifact', name: key } },
  );
}

/**
 * Writes the state, then has it committed. Only a commit makes it count: killed in between, the run goes on from the
 * commit before and writes the same bytes again.
 * @throws KindredError FAILED_PRECONDITION, with nothing written, when the state holds a number that is not finite.
 */
export async function saveState(
  { specification: { runId, seed, experiment } }: TrainingJob,
  plan: TrainingPlan,
  trainer: Pick<Trainer, 'state'>,
  { progress, elapsed, knnTop1 }: EpochStand & { readonly knnTop1: number | null },
  { artifacts, emit, commit }: Pick<TrainingSurroundings, 'artifacts' | 'emit' | 'commit'>,
): Promise<void> {
  const { parameters, momentum } = trainer.state();
  for (const [name, values] of [...Object.entries(parameters), ...Object.entries(momentum)]) {
    if (!allFinite(values)) throw notFinite(`${name} is not finite after ${progress.stepsCompleted} steps of the run`);
  }
  const { epochsCompleted, stepsCompleted } = progress;
  const key = checkpointKey(runId, stepsCompleted);
  const { sha256 } = await artifacts.put(
    key,
    encodeCheckpoint(plan.architecture, {
      parameters,
      momentum,
      progress,
      seed,
      experiment: canonicalJson(experiment),
    }),
  );
  const checkpoint = { epochsCompleted, stepsCompleted, key, sha256, knnTop1, best: isBest(progress) };
  emit({ kind: 'checkpoint', ...checkpoint });
  await commit({ checkpoint, elapsed });
}

// The main job, through the services' public calls only: train, embed, mine, collect.
import { readExperiment, type Experiment } from '@kindred/experiment';
import { isDatasetArtifact } from '@kindred/lineage';
import { RunState, type Run, type RunResources } from '@kindred/protocol/training';
import { datasetReferences } from './dataset-references.js';
import { embedAndMine, type NeighborResult } from './neighbor-steps.js';
import type { Session } from './session.js';
import { assertSucceeded, hasEnded, watchRun } from './watch-run.js';

/** What is asked for: a new run, or one to go on with. */
export interface PretextRequest {
  readonly runId: string;
  /** Null: go on with the run that exists. */
  readonly start: {
    /** YAML text, checked already. */
    readonly experiment: string;
    readonly overrides: Readonly<Record<string, string>>;
    /** Folder of the data sets; empty: the service's first. */
    readonly dataRoot: string;
    readonly seed: bigint;
    /** What the run asks a cluster for; undefined: what the cluster's template says. */
    readonly resources?: RunResources | undefined;
  } | null;
}

/** What the main job has made. */
export interface PretextResult {
  readonly run: Run;
  readonly experiment: Experiment;
  readonly train: NeighborResult;
  readonly validation: NeighborResult;
}

/** Neighbours an image that the reference mines. */
const trainNeighbors = 20;
const validationNeighbors = 5;
/** How often a run is taken up again that failed because another service was away. */
const maxResumes = 3;

/** Does the main job; `onBegun` is called once the run is there to go on with. An interruption is CANCELLED; the run itself is then left as it is. */
export async function runPretext(
  session: Session,
  request: PretextRequest,
  onBegun: () => void,
): Promise<PretextResult> {
  const run = await train(session, request, onBegun);
  assertSucceeded(run);
  const experiment = readExperiment({ text: run.experimentJson });
  const references = datasetReferences(experiment, run.dataRoot);
  const model = run.model === '' ? run.runId : run.model;
  const common = { runId: run.runId, model, dimension: experiment.model_kwargs.features_dim };
  const trained = await embedAndMine(session, {
    ...common,
    title: 'training',
    split: 'train',
    dataset: references.train,
    k: trainNeighbors,
  });
  const validation = await embedAndMine(session, {
    ...common,
    title: 'validation',
    split: 'val',
    dataset: references.validation,
    k: validationNeighbors,
  });
  return { run, experiment, train: trained, validation };
}

async function train(session: Session, { runId, start }: PretextRequest, onBegun: () => void): Promise<Run> {
  const { training, output, signal } = session;
  if (start === null) await resume(session, runId);
  else {
    const overrides = { ...start.overrides, ...(await checkDatasets(session, start)) };
    await session.persist(() => training.startRun({ runId, ...start, overrides }, { signal }));
  }
  onBegun();
  output.event('run', { runId });
  for (let resumes = 0; ; resumes++) {
    const run = await watchRun(session, runId);
    if (run.failure?.code !== 'UNAVAILABLE' || run.state !== RunState.FAILED || resumes >= maxResumes) return run;
    output.warn(`run ${runId} stopped: ${run.failure.message}; going on once all services answer`);
    await session.monitor.untilHealthy(120_000, signal);
    await session.persist(() => training.resumeRun({ runId }, { signal }));
  }
}

/**
 * Opens both splits before a run is made of them: what is missing or broken is said at once and leaves no failed run.
 * Returns overrides that pin pushed data sets to the content that they have now: the run keeps it, whatever its name stands
 * for later.
 */
async function checkDatasets(
  session: Session,
  start: NonNullable<PretextRequest['start']>,
): Promise<Record<string, string>> {
  const experiment = readExperiment({ text: start.experiment, overrides: start.overrides });
  const pinned: Record<string, string> = {};
  const references = datasetReferences(experiment, start.dataRoot);
  for (const [key, dataset] of [
    ['train_db_name', references.train],
    ['val_db_name', references.validation],
  ] as const) {
    const call = () => session.augmentation.getDataset({ dataset }, { signal: session.signal });
    const { description } = await session.persist(call);
    if (isDatasetArtifact(dataset.name)) pinned[key] = description?.dataset?.name ?? dataset.name;
  }
  return pinned;
}

async function resume(session: Session, runId: string): Promise<void> {
  const { training, output, signal } = session;
  const { run } = await session.persist(() => training.getRun({ runId }, { signal }));
  if (run?.state === RunState.SUCCEEDED) {
    output.text(`run ${runId} has ended well already; its neighbours are made again`);
    return;
  }
  output.text(`going on with run ${runId} after ${run?.epochsCompleted ?? 0} epochs`);
  await session.persist(() => training.resumeRun({ runId }, { signal }));
}

/** Cancels a run after an interruption and waits shortly for its last checkpoint. Never throws: the command is ending. */
export async function cancelRun(session: Session, runId: string): Promise<void> {
  const deadline = AbortSignal.timeout(15_000);
  try {
    await session.training.cancelRun({ runId }, { signal: deadline });
    for (;;) {
      const { run } = await session.training.getRun({ runId }, { signal: deadline });
      if (run === undefined || hasEnded(run.state)) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  } catch {
    // It ended by itself, never began, or its service is away: nothing is left to cancel.
  }
}

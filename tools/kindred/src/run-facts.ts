// What is read off a run's record: its best check, the folder of its curves, its rows for people.
import { join } from 'node:path';
import { readExperiment } from '@kindred/experiment';
import { RunState, type Run } from '@kindred/protocol/training';
import { formatPercent } from './quantities.js';

/** The kNN check after an epoch that gave the highest top-1. */
export interface BestCheck {
  /** Percent. */
  readonly top1: number;
  readonly epochsTrained: number;
}

/** The best check; of equal ones the first, as the trainer has it. Null before the first epoch's. */
export function bestCheck({ knnTop1 }: Pick<Run, 'knnTop1'>): BestCheck | null {
  if (knnTop1.length === 0) return null;
  const top1 = Math.max(...knnTop1);
  return { top1, epochsTrained: knnTop1.indexOf(top1) + 1 };
}

/** A best check for people: `50.0 % after epoch 3`. */
export function formatBest({ top1, epochsTrained }: BestCheck): string {
  return `${formatPercent(top1)} after epoch ${epochsTrained}`;
}

/**
 * The folder to name to `tensorboard --logdir`, as a path, or as a key in the artifact store where that is on another
 * machine (`artifactFolder` null). Null for a run that writes no curves and no projector, or whose experiment cannot be read.
 */
export function tensorboardFolder(
  { runId, experimentJson }: Pick<Run, 'runId' | 'experimentJson'>,
  artifactFolder: string | null,
): string | null {
  if (experimentJson === '') return null;
  const { tensorboard } = readExperiment({ text: experimentJson });
  if (!tensorboard.scalars && tensorboard.projector_images === 0) return null;
  const key = `runs/${runId}/tensorboard`;
  return artifactFolder === null ? key : join(artifactFolder, key);
}

/** A run's state in lower case: `running`. */
export function stateOf({ state }: Pick<Run, 'state'>): string {
  return (RunState[state] ?? 'UNSPECIFIED').toLowerCase();
}

/** Names and values of a run for people, without those that are empty. */
export function runRows(run: Run, artifactFolder: string | null): Array<readonly [string, string]> {
  const { failure } = run;
  const done = failure?.stepsCompleted === undefined ? '' : `; ${failure.stepsCompleted} steps done`;
  const best = bestCheck(run);
  const rows: Array<readonly [string, string]> = [
    ['run', run.runId],
    ['state', stateOf(run)],
    ['epochs', String(run.epochsCompleted)],
    ['steps', String(run.stepsCompleted)],
    ['attempts', String(run.attempts)],
    ['seed', String(run.seed)],
    ['data', run.dataRoot],
    ['kNN untrained', formatPercent(run.untrainedKnnTop1)],
    ['kNN by epoch', run.knnTop1.map((value) => value.toFixed(1)).join(' ')],
    ['kNN best', best === null ? '' : formatBest(best)],
    ['linear probe', run.linearProbeTop1 === undefined ? '' : formatPercent(run.linearProbeTop1)],
    ['backbone kNN', run.backboneKnnTop1 === undefined ? '' : formatPercent(run.backboneKnnTop1)],
    ['mean loss', run.meanLoss.map((value) => value.toFixed(3)).join(' ')],
    [
      run.state === RunState.PAUSED ? 'paused' : 'failure',
      failure === undefined ? '' : `${failure.code}: ${failure.message}${done}`,
    ],
    ...run.artifacts.map((key) => ['artifact', key] as const),
    ['TensorBoard', tensorboardFolder(run, artifactFolder) ?? ''],
    ...run.podEnds.map(({ message, log }) => ['pod', log === '' ? message : `${message}; log: ${log}`] as const),
    ...run.notices.map(({ message }) => ['notice', message] as const),
    ['experiment', run.experimentJson],
  ];
  return rows.filter(([, value]) => value !== '');
}

// What the main job leaves: a summary for programs, a table for people, and copies in the reference's results folder.
import { access, constants, mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { openStore, saveFile } from '@kindred/artifact-store';
import { KindredError } from '@kindred/errors';
import { datasetBaseName } from '@kindred/lineage';
import type { Environment } from '@kindred/experiment';
import { table, type Output } from './output.js';
import type { PretextResult } from './pretext-job.js';
import { formatDuration, formatPercent, sparkline } from './quantities.js';
import { bestCheck, formatBest, tensorboardFolder, type BestCheck } from './run-facts.js';

/** The summary of the main job: the last line of `--json`. All accuracies in percent. */
export interface PretextSummary {
  readonly runId: string;
  readonly untrainedKnnTop1: number | null;
  /** After the last epoch; null for a run that ended before its first one had. */
  readonly knnTop1: number | null;
  /** Null like `knnTop1`. */
  readonly bestCheck: BestCheck | null;
  readonly knnTop1PerEpoch: readonly number[];
  readonly meanLossPerEpoch: readonly number[];
  /** Of the backbone's features after the last check; null unless asked for (`evaluation`). */
  readonly linearProbeTop1: number | null;
  readonly backboneKnnTop1: number | null;
  readonly neighborAccuracyTrain: number | null;
  readonly neighborAccuracyVal: number | null;
  /** File name → path, or key in the artifact store where that is on another machine. */
  readonly artifacts: Readonly<Record<string, string>>;
  /** Folder of the run's curves for TensorBoard: a path or key like `artifacts`; null for a run that writes none. */
  readonly tensorboard: string | null;
  /** Ids of the indexes that hold the vectors. */
  readonly indexes: { readonly train: string; readonly val: string };
  /** From the start of the command to its end. */
  readonly seconds: number;
}

/** Sums up what was made. */
export function summarize(result: PretextResult, artifactFolder: string | null, seconds: number): PretextSummary {
  const { run, train, validation } = result;
  return {
    runId: run.runId,
    untrainedKnnTop1: run.untrainedKnnTop1 ?? null,
    knnTop1: run.knnTop1.at(-1) ?? null,
    bestCheck: bestCheck(run),
    knnTop1PerEpoch: run.knnTop1,
    meanLossPerEpoch: run.meanLoss,
    linearProbeTop1: run.linearProbeTop1 ?? null,
    backboneKnnTop1: run.backboneKnnTop1 ?? null,
    neighborAccuracyTrain: train.mining.accuracy ?? null,
    neighborAccuracyVal: validation.mining.accuracy ?? null,
    artifacts: Object.fromEntries(
      artifactKeys(result).map((key) => [basename(key), artifactFolder === null ? key : join(artifactFolder, key)]),
    ),
    tensorboard: tensorboardFolder(run, artifactFolder),
    indexes: { train: train.indexId, val: validation.indexId },
    seconds: Math.round(seconds * 10) / 10,
  };
}

/** The table at the end. */
export function printSummary(output: Output, summary: PretextSummary): void {
  const { colors } = output;
  output.text();
  output.text(colors.bold(`run ${summary.runId}, ${formatDuration(summary.seconds)}`));
  const rows = [
    ['kNN top-1 untrained', formatPercent(summary.untrainedKnnTop1)],
    ['kNN top-1 trained', `${formatPercent(summary.knnTop1)}${gainOf(summary)}`],
    ...(summary.bestCheck === null ? [] : [['kNN top-1 best', formatBest(summary.bestCheck)]]),
    ['kNN top-1 by epoch', sparkline([summary.untrainedKnnTop1 ?? [], summary.knnTop1PerEpoch].flat())],
    ...[
      ['linear probe top-1', summary.linearProbeTop1] as const,
      ['backbone kNN top-1', summary.backboneKnnTop1] as const,
    ].flatMap(([name, percent]) => (percent === null ? [] : [[name, formatPercent(percent)]])),
    [
      'mean loss',
      `${summary.meanLossPerEpoch[0]?.toFixed(3) ?? '–'} → ${summary.meanLossPerEpoch.at(-1)?.toFixed(3) ?? '–'}`,
    ],
    ['20 nearest in training set', `${formatPercent(summary.neighborAccuracyTrain)} of the same class`],
    ['5 nearest in validation set', `${formatPercent(summary.neighborAccuracyVal)} of the same class`],
    ...Object.entries(summary.artifacts).map(([name, place]) => [name, place]),
    ...(summary.tensorboard === null ? [] : [['TensorBoard', summary.tensorboard]]),
  ];
  for (const line of table(rows)) output.text(`  ${line}`);
}

/** What training gained over the untrained network, in percent points; empty where either was not measured. */
function gainOf({ knnTop1, untrainedKnnTop1 }: PretextSummary): string {
  if (knnTop1 === null || untrainedKnnTop1 === null) return '';
  const gain = knnTop1 - untrainedKnnTop1;
  return `  (${gain >= 0 ? '+' : ''}${gain.toFixed(1)})`;
}

/**
 * The folder `<root_dir>/<dataset>/pretext` that the reference would write to, made and tried; null where `root_dir` is
 * still a placeholder such as `/path/to/results`, so that an unchanged file of the reference does no harm.
 * @throws KindredError INVALID_ARGUMENT naming file and key when it cannot be written to.
 */
export async function resultsFolderFor(
  environment: Environment,
  file: string,
  dataset: string,
): Promise<string | null> {
  if (/^\/?path\//.test(environment.root_dir)) return null;
  const folder = join(environment.root_dir, datasetBaseName(dataset), 'pretext');
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
    return folder;
  } catch (thrown) {
    throw new KindredError(
      'INVALID_ARGUMENT',
      `${file}: root_dir: got '${environment.root_dir}', which cannot be written to (${(thrown as Error).message}); allowed: a folder of yours`,
      { violations: [{ field: 'root_dir', description: 'allowed: a folder that can be written to' }], cause: thrown },
    );
  }
}

/** Copies model and neighbour files from the artifact store to `folder`. */
export async function copyResults(result: PretextResult, artifactStore: string, folder: string): Promise<void> {
  const store = await openStore(artifactStore);
  for (const key of artifactKeys(result)) {
    await saveFile(join(folder, basename(key)), store.read(key));
  }
}

/** Keys of the run's results, without its checkpoints. */
function artifactKeys({ run, train, validation }: PretextResult): string[] {
  const own = run.artifacts.filter((key) => !key.includes('/checkpoints/'));
  return [...new Set([...own, train.mining.key, validation.mining.key])].filter((key) => key !== '');
}

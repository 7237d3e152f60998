// `kindred demo`: the main job with a built-in experiment, a picture of neighbours and a curve at its end.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { readExperiment } from '@kindred/experiment';
import { invalidField } from '@kindred/errors';
import { datasetNames, isDatasetName, openDataset } from '@kindred/datasets';
import { resumePretext } from '../command-line.js';
import { runCommand, type CommandContext, type GlobalOptions } from '../command-context.js';
import { drawContactSheet } from '../contact-sheet.js';
import { workspaceFolder } from '../data-folder.js';
import { datasetReferences } from '../dataset-references.js';
import type { ExitCode } from '../exit-codes.js';
import { knnCurve } from '../knn-curve.js';
import { runPretextCommand } from '../pretext-command.js';
import type { PretextResult } from '../pretext-job.js';
import type { PretextSummary } from '../results.js';
import type { Session } from '../session.js';
import { dataRootOf, newRunId, parseOverrides, parseSeed, readNamedFile } from '../settings.js';
import { collect } from './pretext.js';

interface DemoOptions extends GlobalOptions {
  readonly dataset: string;
  readonly dataDir?: string;
  readonly set: string[];
  readonly seed: string;
}

/** Adds the command. */
export function addDemo(program: Command): void {
  program
    .command('demo')
    .description('a small run of the main job, on drawn images unless told otherwise; needs no configuration')
    .option('--dataset <name>', datasetNames.join(', '), 'drawn')
    .option('--data-dir <dir>', 'folder of the data set (default: DATA/datasets)')
    .option('--set <key=value>', 'replace a value of the experiment; may be given again', collect, [])
    .option('--seed <n>', 'seed of all chance', '0')
    .action((_: unknown, command: Command) => {
      const options = command.optsWithGlobals<DemoOptions>();
      return runCommand(options, (context) => demo(context, options));
    });
}

async function demo(context: CommandContext, options: DemoOptions): Promise<ExitCode> {
  const { dataset } = options;
  if (!isDatasetName(dataset)) throw invalidField('--dataset', `got '${dataset}'; allowed: ${datasetNames.join(', ')}`);
  const dataRoot = dataset === 'drawn' ? '' : dataRootOf(options.dataDir);
  const file = join(workspaceFolder(), 'configs/pretext', `demo_${dataset.replace('-', '')}.yml`);
  const experiment = await readNamedFile('--dataset', file);
  const overrides = { ...(await classCount(dataset, dataRoot)), ...parseOverrides(options.set) };
  readExperiment({ text: experiment, file, overrides });
  const runId = newRunId(dataset);
  return runPretextCommand(context, {
    request: { runId, start: { experiment, overrides, dataRoot, seed: parseSeed(options.seed) } },
    illustrate: (session, result, summary) => illustrate(context, session, result, summary),
    resumeCommand: resumePretext(runId, options.data),
  });
}

/** A folder's classes are known only once it is read. */
async function classCount(dataset: string, root: string): Promise<Record<string, string>> {
  if (dataset !== 'folder') return {};
  const { classNames } = await openDataset({ name: 'folder', split: 'train', root });
  return { num_classes: String(classNames.length) };
}

async function illustrate(
  { output, folder }: CommandContext,
  session: Session,
  { run, experiment, train }: PretextResult,
  summary: PretextSummary,
): Promise<Record<string, unknown>> {
  const pictures = join(folder.path, 'pictures', run.runId);
  await mkdir(pictures, { recursive: true });
  const curve = join(pictures, 'knn.svg');
  await writeFile(curve, knnCurve([summary.untrainedKnnTop1 ?? 0, ...summary.knnTop1PerEpoch]));
  output.text(`  ${'curve of kNN accuracy'.padEnd(27)}  ${curve}`);
  if (session.artifactStore === null) return { pictures: { curve } };
  const neighbors = join(pictures, 'neighbors.png');
  await drawContactSheet(session, session.artifactStore, {
    neighborsKey: train.mining.key,
    dataset: datasetReferences(experiment, run.dataRoot).train,
    cropSize: experiment.transformation_kwargs.crop_size,
    path: neighbors,
  });
  output.text(`  ${'picture of neighbours'.padEnd(27)}  ${neighbors}`);
  return { pictures: { curve, neighbors } };
}

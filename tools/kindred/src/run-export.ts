// A run as a folder for other tools: the reference's next steps, PyTorch, TensorFlow, ONNX, numpy, and a report of it all.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArtifactStore } from '@kindred/artifact-store';
import { KindredError } from '@kindred/errors';
import { decodeNpyAs } from '@kindred/formats';
import { readManifest, runModelKey, type Manifest } from '@kindred/lineage';
import { createExportFolder, type ExportFolder, type ExportedFile } from './export-folder.js';
import type { ModelFiles } from './model-files.js';
import type { ModelFacts, ModelFormat } from './model-files.worker.js';
import { indexIdOf, neighborsKey } from './neighbor-steps.js';
import { readRunHistory, type EpochFacts, type RunHistory } from './run-history.js';

/** `report.json` of an exported run. Accuracies in percent. */
export interface RunReport {
  readonly format: 'kindred-run-report';
  readonly version: 1;
  readonly runId: string;
  readonly state: string;
  readonly seed: string;
  readonly createTime: string;
  readonly updateTime: string;
  /** With all defaults filled in, in the reference's keys. */
  readonly experiment: RunHistory['experiment'];
  readonly model: ModelFacts;
  readonly metrics: {
    readonly untrainedKnnTop1: number | null;
    readonly knnTop1: number | null;
    readonly bestKnnTop1: number | null;
    /** Share of mined neighbours, without the image itself, that have its class; null without files or labels. */
    readonly neighborAccuracyTrain: number | null;
    readonly neighborAccuracyVal: number | null;
  };
  readonly epochs: readonly EpochFacts[];
  /** What run and model were made from, by hash; null where no manifest was written. */
  readonly lineage: { readonly run: Manifest | null; readonly model: Manifest | null };
  readonly files: readonly ExportedFile[];
  /** Keys of the artifact store that the run does not have. */
  readonly missing: readonly string[];
}

/** How to export. */
export interface RunExportOptions {
  /** The reference's `root_dir`: files go to `<to>/<data set>/`. */
  readonly to: string;
  /** Whether another run's files there may be replaced. */
  readonly replace: boolean;
  /** Told each file before it is made. */
  readonly onFile: (path: string) => void;
}

const reportFile = 'report.json';
const checkpointPath = 'pretext/checkpoint.pth.tar';
/** Where each format of the model goes; TensorFlow Serving wants a folder named by a number. */
const modelPaths: Readonly<Record<ModelFormat, string>> = {
  pytorch: 'pretext/model.pth.tar',
  tensorflow: 'saved_model/1/saved_model.pb',
  onnx: 'model.onnx',
};

/**
 * Writes the folder `<to>/<data set>` and gives its path and report. @throws KindredError NOT_FOUND without such a run,
 * FAILED_PRECONDITION for one that has no model yet, ALREADY_EXISTS where other files are, DATA_LOSS for damaged artifacts.
 */
export async function exportRun(
  store: ArtifactStore,
  models: ModelFiles,
  runId: string,
  options: RunExportOptions,
): Promise<{ readonly path: string; readonly report: RunReport }> {
  const history = await readRunHistory(store, runId);
  const modelKey = runModelKey(runId);
  if ((await store.describe(modelKey)) === null) {
    throw new KindredError(
      'FAILED_PRECONDITION',
      `run '${runId}' (${history.state}) has no model; a run has one once it has succeeded`,
      { resource: { type: 'run', name: runId } },
    );
  }
  const lineage = {
    run: await readManifest(store, 'run', runId),
    model: await readManifest(store, 'model', runId),
  };
  const sha256 = await knownHashes(store, history, lineage);
  const path = join(options.to, folderName(history.experiment.train_db_name));
  const isOwn = !options.replace && (await holdsRun(path, runId));
  const folder = createExportFolder(path, options.replace || isOwn);
  const model = await store.get(modelKey, sha256.get(modelKey));
  const facts = await models.describe(model);
  const write = async (place: string, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> => {
    options.onFile(place);
    await folder.write(place, content);
  };
  const missing: string[] = [];
  try {
    await write('model.safetensors', model);
    for (const [format, place] of Object.entries(modelPaths) as [ModelFormat, string][]) {
      await write(place, await models.convert(model, format));
    }
    if (history.checkpoint !== null) {
      const { key, sha256: hash } = history.checkpoint;
      const checkpoint = await store.get(key, hash);
      const request = { checkpoint, name: key, architecture: facts.architecture, sgd: sgdOf(history) };
      await write(checkpointPath, await models.checkpoint(request));
    }
    for (const [place, key] of arraysOf(history)) {
      if ((await store.describe(key)) === null) missing.push(key);
      else await write(place, store.read(key, { sha256: sha256.get(key) }));
    }
    await folder.commit();
    if (options.replace) await removeStale(folder, history);
    const report = await reportOf(history, facts, lineage, folder, missing);
    await write(reportFile, new TextEncoder().encode(`${JSON.stringify(report, null, 2)}\n`));
    await folder.commit();
    return { path, report };
  } finally {
    await folder.discard();
  }
}

/** Hashes by key, as the manifests have them of the model, the features and the neighbours; of other files none is known. */
async function knownHashes(
  store: ArtifactStore,
  { runId, experiment }: RunHistory,
  { run, model }: RunReport['lineage'],
): Promise<ReadonlyMap<string, string>> {
  const others = [
    ...featureIds(runId, experiment).map((id) => ['feature-set', id] as const),
    ...(['train', 'val'] as const).map((split) => ['index', indexIdOf(runId, split)] as const),
  ];
  const manifests = [run, model];
  for (const [kind, id] of others) manifests.push(await readManifest(store, kind, id));
  return new Map(manifests.flatMap((manifest) => manifest?.files ?? []).map(({ key, sha256 }) => [key, sha256]));
}

/** Another run's files at places where this run has none would pass for its own. */
async function removeStale(folder: ExportFolder, history: RunHistory): Promise<void> {
  const own = new Set(folder.files.map(({ path }) => path));
  for (const path of [checkpointPath, ...arraysOf(history).map(([place]) => place)])
    if (!own.has(path)) await folder.remove(path);
}

/** A pushed data set goes by its name without its hash: `artifact:cats@1f2e…` is `cats`. */
function folderName(dataset: string): string {
  return dataset.replace(/^artifact:/, '').replace(/@.*$/, '');
}

/** Ids of the features of the training split and of the validation split. */
function featureIds(runId: string, experiment: RunHistory['experiment']): [string, string] {
  // The embedding service's own rule: `artifact:cats@1f2e…` has characters that a key has not.
  const keyPart = (dataset: string): string => dataset.replace(/[^A-Za-z0-9._=-]/g, '-');
  return [
    `${runId}/${keyPart(experiment.train_db_name)}-train`,
    `${runId}/${keyPart(experiment.val_db_name)}-validation`,
  ];
}

/** Arrays by their place in the folder, and their keys in the store. */
function arraysOf({ runId, experiment }: RunHistory): [string, string][] {
  const [train, validation] = featureIds(runId, experiment).map((id) => `features/${id}`);
  return [
    ['pretext/topk-train-neighbors.npy', neighborsKey(runId, 'train')],
    ['pretext/topk-val-neighbors.npy', neighborsKey(runId, 'val')],
    ['features-train.npy', `${train}-features.npy`],
    ['features-val.npy', `${validation}-features.npy`],
    ['labels.npy', `${train}-labels.npy`],
    ['labels-val.npy', `${validation}-labels.npy`],
  ];
}

/** The optimizer's settings as PyTorch's SGD has them; null for LARS, whose momentum means something else. */
function sgdOf({ experiment, lastLearningRate }: RunHistory) {
  const { momentum, nesterov, weight_decay: weightDecay, lr } = experiment.optimizer_kwargs;
  return experiment.optimizer === 'sgd' ? { lr: lastLearningRate ?? lr, momentum, weightDecay, nesterov } : null;
}

/**
 * Whether the folder has this run's report. The reference keeps one pretext training a data set in `root_dir`.
 * @throws KindredError ALREADY_EXISTS where it has another's, or one that cannot be read.
 */
async function holdsRun(folder: string, runId: string): Promise<boolean> {
  let holder: string | undefined;
  try {
    holder = (JSON.parse(await readFile(join(folder, reportFile), 'utf8')) as { runId?: string }).runId ?? 'unknown';
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError) && (thrown as NodeJS.ErrnoException).code === 'ENOENT') return false;
    holder = 'unknown';
  }
  if (holder === runId) return true;
  throw new KindredError(
    'ALREADY_EXISTS',
    `${folder} holds the files of run '${holder}'; name another folder by --to, or replace them by --replace`,
    { resource: { type: 'folder', name: folder } },
  );
}

async function reportOf(
  history: RunHistory,
  model: ModelFacts,
  lineage: RunReport['lineage'],
  { path, files }: ExportFolder,
  missing: readonly string[],
): Promise<RunReport> {
  const { checkpoint: _, lastLearningRate: __, untrainedKnnTop1, epochs, ...rest } = history;
  const checks = epochs.flatMap(({ knnTop1 }) => knnTop1 ?? []);
  const written = (name: string): string | null => (files.some((file) => file.path === name) ? join(path, name) : null);
  const accuracy = (split: 'train' | 'val', labels: string): Promise<number | null> =>
    neighborAccuracy(written(`pretext/topk-${split}-neighbors.npy`), written(labels));
  return {
    format: 'kindred-run-report',
    version: 1,
    ...rest,
    model,
    metrics: {
      untrainedKnnTop1,
      knnTop1: epochs.at(-1)?.knnTop1 ?? null,
      bestKnnTop1: checks.length === 0 ? null : Math.max(...checks),
      neighborAccuracyTrain: await accuracy('train', 'labels.npy'),
      neighborAccuracyVal: await accuracy('val', 'labels-val.npy'),
    },
    epochs,
    lineage,
    files: [...files],
    missing,
  };
}

/** As the reference prints it after mining (SCAN §3.1): over all images and all their neighbours but themselves. */
async function neighborAccuracy(neighborsPath: string | null, labelsPath: string | null): Promise<number | null> {
  if (neighborsPath === null || labelsPath === null) return null;
  const { data, shape } = decodeNpyAs(await readFile(neighborsPath), 'i8', neighborsPath);
  const { data: labels } = decodeNpyAs(await readFile(labelsPath), 'i8', labelsPath);
  const [rows = 0, columns = 0] = shape;
  if (rows === 0 || columns < 2 || labels.some((label) => label < 0n)) return null;
  let same = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 1; column < columns; column++) {
      if (labels[Number(data[row * columns + column])] === labels[row]) same++;
    }
  }
  return (100 * same) / (rows * (columns - 1));
}

// Where a run's results come from: the manifests of its model and of itself, and its place in the registry of models.
import type { ArtifactStore } from '@kindred/artifact-store';
import {
  codeVersion,
  createModelRegistry,
  datasetBaseName,
  readManifest,
  writeManifest,
  type ManifestFile,
  type ManifestInput,
  type NewManifest,
} from '@kindred/lineage';
import type { Progress } from './progress.js';
import type { Checkpointed, RunEvent, RunRecord, RunSpecification } from './run.js';
import type { SeenDataset } from './seen-datasets.js';

/** Writes the manifests of runs. */
export interface RunLineage {
  /** Writes the manifest of a run that has ended. */
  writeRun(record: RunRecord, commits: readonly Checkpointed[], events: readonly RunEvent[]): Promise<void>;
}

/** What a model was made by and from. */
export interface ModelOrigin {
  readonly specification: RunSpecification;
  readonly progress: Progress;
  readonly datasets: readonly SeenDataset[];
}

/** The name that the models of this experiment are versions of, e.g. `simclr-cifar-10`. */
export function modelName({ setup, train_db_name: dataset }: RunSpecification['experiment']): string {
  return `${setup}-${datasetBaseName(dataset)}`;
}

/** Writes the manifest of a run's model and registers it as the next version of its name. Doing so again changes nothing. */
export async function recordModel(
  artifacts: ArtifactStore,
  file: ManifestFile,
  { specification, progress, datasets }: ModelOrigin,
): Promise<void> {
  const { runId, experiment } = specification;
  const { epochsCompleted, stepsCompleted, best } = progress;
  await writeManifest(artifacts, {
    kind: 'model',
    id: runId,
    ...(await commonParts(specification)),
    inputs: datasets.map(({ id, sha256 }): ManifestInput => ({ kind: 'dataset', id, sha256 })),
    metrics: {
      epochs: epochsCompleted,
      steps: stepsCompleted,
      ...(best === null ? {} : { best_knn_top1_percent: best.top1 }),
    },
    files: [file],
  });
  const source = { kind: 'run', id: runId } as const;
  await createModelRegistry(artifacts).register(modelName(experiment), { ...file, source, description: '' });
}

/** Makes the writer over an artifact store. */
export function createRunLineage(artifacts: ArtifactStore): RunLineage {
  return {
    async writeRun({ specification, state, attempts }, commits, events) {
      const { runId, experiment } = specification;
      const model = await readManifest(artifacts, 'model', runId);
      const names = [experiment.train_db_name, experiment.val_db_name];
      const unread = [...new Set(names)].map((id): ManifestInput => ({ kind: 'dataset', id, sha256: null }));
      await writeManifest(artifacts, {
        kind: 'run',
        id: runId,
        ...(await commonParts(specification)),
        inputs: model?.inputs ?? unread,
        metrics: { ...metricsOf(events), attempts, succeeded: state === 'succeeded' ? 1 : 0 },
        files: [...(model?.files ?? []), ...(await checkpointFiles(artifacts, commits))],
      });
    },
  };
}

async function commonParts({ experiment, dataRoot, seed }: RunSpecification) {
  return {
    producer: { program: 'trainer', version: await codeVersion() },
    config: { experiment, data_root: dataRoot } as NewManifest['config'],
    seed,
  };
}

/** The checkpoints that are kept: the best by kNN and the newest ones. */
async function checkpointFiles(artifacts: ArtifactStore, commits: readonly Checkpointed[]): Promise<ManifestFile[]> {
  const files: ManifestFile[] = [];
  for (const { checkpoint } of commits) {
    const found = await artifacts.describe(checkpoint.key);
    if (found !== null) files.push({ key: checkpoint.key, sha256: checkpoint.sha256, size: found.size });
  }
  return files;
}

function metricsOf(events: readonly RunEvent[]): Record<string, number> {
  const bodies = events.map(({ body }) => body);
  const checks = bodies.filter((body) => body.kind === 'knn');
  const epochs = bodies.filter((body) => body.kind === 'epoch');
  const facts: Record<string, number | undefined> = {
    epochs: epochs.length,
    training_seconds: epochs.reduce((sum, { seconds }) => sum + seconds, 0),
    mean_loss: epochs.at(-1)?.meanLoss,
    untrained_knn_top1_percent: checks.find(({ epochsTrained }) => epochsTrained === 0)?.top1,
    knn_top1_percent: checks.findLast(({ epochsTrained }) => epochsTrained > 0)?.top1,
    linear_probe_top1_percent: bodies.findLast((body) => body.kind === 'linear-probe')?.top1,
  };
  const known = Object.entries(facts).filter((entry): entry is [string, number] => Number.isFinite(entry[1]));
  return Object.fromEntries(known);
}

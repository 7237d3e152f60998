// Pushed datasets of a run, pinned when it is started to the content that their names stand for then.
import { isKindredError } from '@kindred/errors';
import {
  datasetBaseName,
  isDatasetReference,
  parseDatasetArtifact,
  pinnedDatasetArtifact,
  resolveDatasetArtifact,
  type LineageStore,
} from '@kindred/lineage';
import type { RunSpecification } from './run.js';

/** The settings that name datasets. */
const settings = ['train_db_name', 'val_db_name'] as const;
type DatasetName = RunSpecification['experiment'][(typeof settings)[number]];

/** Pins what a run that is new asks for. */
export type PinDatasets = (specification: RunSpecification) => Promise<RunSpecification>;

/**
 * Makes the pinner over the artifact store: `artifact:NAME` becomes `artifact:NAME@HASH`, so that a run that goes on reads
 * what it began with. A name that the store does not have stays as it is: the data-augmentation service may have another
 * store, and says what is missing.
 */
export function createDatasetPinner(store: Pick<LineageStore, 'get' | 'list'>): PinDatasets {
  const pinned = async (name: DatasetName, field: string): Promise<DatasetName> => {
    if (!isBare(name)) return name;
    try {
      return pinnedDatasetArtifact(await resolveDatasetArtifact(store, parseDatasetArtifact(name, field)));
    } catch (thrown) {
      if (isKindredError(thrown, 'NOT_FOUND')) return name;
      throw thrown;
    }
  };
  return async (specification) => {
    const { experiment } = specification;
    if (!settings.some((setting) => isBare(experiment[setting]))) return specification;
    const [train, validation] = [experiment.train_db_name, experiment.val_db_name];
    const trainName = await pinned(train, 'train_db_name');
    // Both splits of one content, whatever the name is given to meanwhile.
    const validationName = validation === train ? trainName : await pinned(validation, 'val_db_name');
    return { ...specification, experiment: { ...experiment, train_db_name: trainName, val_db_name: validationName } };
  };
}

/** What `asked` asks for, with the bare names of datasets pinned as in `existing`, where that has the same names. */
export function pinnedAlike(asked: RunSpecification, existing: RunSpecification): RunSpecification {
  const alike = settings.flatMap((setting) => {
    const [name, known] = [asked.experiment[setting], existing.experiment[setting]];
    return isBare(name) && datasetBaseName(known) === datasetBaseName(name) ? [[setting, known]] : [];
  });
  return { ...asked, experiment: { ...asked.experiment, ...(Object.fromEntries(alike) as object) } };
}

function isBare(name: string): boolean {
  return isDatasetReference(name) && !name.includes('@');
}

// Makes the Jobs of runs, one after another, so that the order of Jobs is the order of runs; a Job that is there already is taken.
import { KindredError, toKindredError } from '@kindred/errors';
import type { JobClient, JobState } from '@kindred/kubernetes-jobs';
import type { TensorFlowOptions } from '@kindred/tensorflow-native';
import { isJobOf, jobManifest, type RunSettings } from './job-manifest.js';
import type { RunSpecification } from './run.js';

/** What Jobs are made from, beside the runs. */
export interface JobMakerOptions {
  readonly client: Pick<JobClient, 'create' | 'get' | 'readTemplate'>;
  readonly tensorFlow: TensorFlowOptions;
  /** Where the Jobs' template is. */
  readonly jobTemplate: string;
  /** Queue of Kueue; null: none. */
  readonly queue: string | null;
  /** What the runs' pods are told. */
  readonly settings: RunSettings;
}

/**
 * Makes the maker.
 * @throws KindredError FAILED_PRECONDITION when another's Job has the run's name; as `JobClient.create` otherwise
 */
export function createJobMaker(options: JobMakerOptions): (specification: RunSpecification) => Promise<JobState> {
  const { client, tensorFlow, jobTemplate, queue, settings } = options;
  let making: Promise<unknown> = Promise.resolve();
  const make = async (specification: RunSpecification): Promise<JobState> => {
    const template = await client.readTemplate(jobTemplate);
    const manifest = jobManifest({ template, specification, tensorFlow, queue, settings });
    try {
      return await client.create(specification.runId, manifest);
    } catch (thrown) {
      const existing = toKindredError(thrown).code === 'ALREADY_EXISTS' ? await client.get(specification.runId) : null;
      if (existing === null) throw retriedConflict(thrown);
      if (!isJobOf(existing, specification)) throw otherJob(existing);
      return existing;
    }
  };
  return (specification) => {
    const made = making.then(() => make(specification));
    making = made.catch(() => {});
    return made;
  };
}

/** What a run fails by whose name another's Job has. */
export function otherJob(job: JobState): KindredError {
  return new KindredError(
    'FAILED_PRECONDITION',
    `a Job '${job.name}' exists in the namespace that was not made for this run; delete it, or start the run under another id`,
    { resource: { type: 'job', name: job.name } },
  );
}

/** A conflict about something else than the name, or with a Job that has just gone: it is tried again. */
function retriedConflict(thrown: unknown): KindredError {
  const error = toKindredError(thrown);
  return error.code === 'ALREADY_EXISTS' ? new KindredError('UNAVAILABLE', error.message, { cause: thrown }) : error;
}

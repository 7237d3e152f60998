// TrainingService: requests in, runs out; no mathematics.
import { randomUUID } from 'node:crypto';
import { invalidField } from '@kindred/errors';
import { readExperiment } from '@kindred/experiment';
import type { TrainingServiceImplementation } from '@kindred/protocol/training';
import { createPlan } from './plan.js';
import type { RunSpecification } from './run.js';
import type { Runs } from './runs.js';
import { toWireRun, toWireWatched } from './wire.js';

const idForm = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const maxExperimentLength = 1_000_000;
const defaultPageSize = 100;
const maxPageSize = 1000;

/** Makes the handlers over `runs`; `draining` ends watches when the service ends. */
export function createHandlers(runs: Runs, draining: AbortSignal): TrainingServiceImplementation {
  return {
    async startRun(request) {
      const specification: RunSpecification = {
        runId: request.runId === '' ? newRunId() : checkedRunId(request.runId),
        experiment: readExperiment({ text: checkedExperiment(request.experiment), overrides: request.overrides }),
        dataRoot: request.dataRoot,
        seed: request.seed.toString(),
        createTime: new Date().toISOString(),
      };
      createPlan(specification);
      return { run: toWireRun(await runs.start(specification)) };
    },
    async getRun({ runId }) {
      return { run: toWireRun(runs.get(runId)) };
    },
    async listRuns({ pageSize, pageToken }) {
      const size = pageSize === 0 ? defaultPageSize : pageSize;
      if (size > maxPageSize) throw invalidField('page_size', `got ${size}; allowed: at most ${maxPageSize}`);
      const all = runs.list();
      const first = pageToken === '' ? 0 : all.findIndex(({ record }) => record.specification.runId === pageToken);
      if (first < 0) throw invalidField('page_token', `got '${pageToken}'; allowed: next_page_token of a page before`);
      const page = all.slice(first, first + size);
      return { runs: page.map(toWireRun), nextPageToken: all[first + size]?.record.specification.runId ?? '' };
    },
    async *watchRun({ runId, firstEvent }, { signal }) {
      for await (const watched of runs.watch(runId, Number(firstEvent), AbortSignal.any([signal, draining]))) {
        yield toWireWatched(watched);
      }
    },
    async cancelRun({ runId }) {
      return { run: toWireRun(await runs.cancel(runId)) };
    },
    async resumeRun({ runId }) {
      return { run: toWireRun(await runs.resume(runId)) };
    },
  };
}

/** An id that sorts by time and says when it was made: `20261124-0417-3fa9c1`. */
function newRunId(): string {
  const [day = '', time = ''] = new Date().toISOString().split('T');
  return `${day.replaceAll('-', '')}-${time.slice(0, 5).replace(':', '')}-${randomUUID().slice(0, 6)}`;
}

function checkedRunId(runId: string): string {
  if (idForm.test(runId)) return runId;
  throw invalidField('run_id', `got '${runId}'; allowed: lower-case letters, digits and dashes, at most 63`);
}

function checkedExperiment(text: string): string {
  if (text.length <= maxExperimentLength) return text;
  throw invalidField('experiment', `got ${text.length} characters; allowed: at most ${maxExperimentLength}`);
}

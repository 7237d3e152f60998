// TrainingService: requests in, runs out; no mathematics.
import { randomUUID } from 'node:crypto';
import { invalidField, toKindredError } from '@kindred/errors';
import { readExperiment } from '@kindred/experiment';
import type { Run, TrainingServiceImplementation } from '@kindred/protocol/training';
import { createPlan } from './plan.js';
import { readResources } from './run-resources.js';
import type { RunSpecification } from './run.js';
import type { RunsInTurn } from './runs-in-turn.js';
import { sideBySide } from './side-by-side.js';
import { toWireDamagedRun, toWireRun, toWireWatched } from './wire.js';

const idForm = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const maxExperimentLength = 1_000_000;
const defaultPageSize = 100;
const maxPageSize = 1000;
/** Histories of a page that are read at one time. */
const readAtOnce = 16;

/** Makes the handlers over `runs`; `draining` ends watches when the service ends, `inCluster`: runs are Jobs. */
export function createHandlers(
  runs: RunsInTurn,
  draining: AbortSignal,
  inCluster: boolean,
): TrainingServiceImplementation {
  return {
    async startRun(request) {
      const specification: RunSpecification = {
        runId: request.runId === '' ? newRunId() : checkedRunId(request.runId),
        experiment: readExperiment({ text: checkedExperiment(request.experiment), overrides: request.overrides }),
        dataRoot: request.dataRoot,
        seed: request.seed.toString(),
        createTime: new Date().toISOString(),
        resources: readResources(request.resources, inCluster),
      };
      createPlan(specification);
      return { run: toWireRun(await runs.changed().start(specification)) };
    },
    async getRun({ runId }) {
      const { damaged, get } = runs.seen();
      const found = damaged.find((run) => run.runId === runId);
      return { run: found === undefined ? toWireRun(await get(runId)) : toWireDamagedRun(found) };
    },
    async listRuns({ pageSize, pageToken }) {
      const size = pageSize === 0 ? defaultPageSize : pageSize;
      if (size > maxPageSize) throw invalidField('page_size', `got ${size}; allowed: at most ${maxPageSize}`);
      const { list, get, damaged } = runs.seen();
      const all = [...list(), ...damaged.map(({ runId }) => runId)];
      const first = pageToken === '' ? 0 : all.indexOf(pageToken);
      if (first < 0) throw invalidField('page_token', `got '${pageToken}'; allowed: next_page_token of a page before`);
      const listed = async (runId: string): Promise<Run> => {
        const found = damaged.find((run) => run.runId === runId);
        if (found !== undefined) return toWireDamagedRun(found);
        try {
          return toWireRun(await get(runId));
        } catch (thrown) {
          // One whose files somebody has removed must not hide the others.
          const { code, message } = toKindredError(thrown);
          if (code !== 'NOT_FOUND' && code !== 'DATA_LOSS') throw thrown;
          return toWireDamagedRun({ runId, notice: { time: new Date().toISOString(), message } });
        }
      };
      // Each may have to be read from the store first.
      const page = await sideBySide(all.slice(first, first + size), readAtOnce, listed);
      return { runs: page, nextPageToken: all[first + size] ?? '' };
    },
    async *watchRun({ runId, firstEvent, firstPodEnd }, { signal }) {
      const ended = AbortSignal.any([signal, draining]);
      for await (const watched of runs.seen().watch(runId, Number(firstEvent), ended, Number(firstPodEnd))) {
        yield toWireWatched(watched);
      }
    },
    async cancelRun({ runId }) {
      return { run: toWireRun(await runs.changed().cancel(runId)) };
    },
    async resumeRun({ runId }) {
      return { run: toWireRun(await runs.changed().resume(runId)) };
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

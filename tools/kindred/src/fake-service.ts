// A stand-in for the services in specs: answers like them, trains nothing. `argv`-less; its folder's name says which it is.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { notFound } from '@kindred/errors';
import { canonicalJson, readExperiment } from '@kindred/experiment';
import { AugmentationServiceDefinition } from '@kindred/protocol/augmentation';
import { EmbeddingServiceDefinition, JobState, type EmbedDatasetJob } from '@kindred/protocol/embedding';
import { MiningState, NeighborIndexServiceDefinition, type MiningJob } from '@kindred/protocol/neighbors';
import { Run, RunState, TrainingServiceDefinition, type RunEvent } from '@kindred/protocol/training';
import {
  networkFields,
  readConfig,
  startService,
  type RunningService,
  type ServiceName,
  type ServiceRegistrar,
} from '@kindred/service-runtime';

const epochs = 3;
const stepsPerEpoch = 4;
const knn = [20, 30, 40, 50];
/** Top-1 of the fake's linear probe, percent. */
const linearProbe = 62.5;
/** Pause before each event in milliseconds. */
const eventMs = 30;

/** While this file of the fakes' state exists, `service` stops half-way: specs end processes there. */
export const holdFile = (service: 'trainer' | 'embedding'): string => `hold-${service}`;

async function pause(goesOn: () => boolean): Promise<void> {
  do await new Promise((resolve) => setTimeout(resolve, eventMs));
  while (!goesOn());
}

/** Starts the stand-in `name`; what must outlive the process lies in `state`. */
export async function startFakeService(name: ServiceName, state: string): Promise<RunningService> {
  mkdirSync(state, { recursive: true });
  const fields = networkFields(name);
  return startService({
    name,
    network: fields.read(readConfig(process.env, fields.schema)),
    register: (registrar) => registrations[name](registrar, state),
  });
}

const registrations: Record<ServiceName, (registrar: ServiceRegistrar, state: string) => void> = {
  'data-augmentation': (registrar) =>
    registrar.add(AugmentationServiceDefinition, {
      listDatasets: async () => ({ datasets: [] }),
      getDataset: async () => ({ description: { size: 100, classNames: ['ring', 'star'] } }),
      async *streamBatches() {},
      augment: async () => ({}),
    }),
  trainer: registerTrainer,
  embedding: registerEmbedding,
  'neighbor-index': registerNeighbors,
};

function registerTrainer(registrar: ServiceRegistrar, state: string): void {
  const path = (runId: string): string => join(state, `${runId}.json`);
  const load = (runId: string): Run => {
    if (!existsSync(path(runId))) throw notFound('run', runId);
    return Run.fromJSON(JSON.parse(readFileSync(path(runId), 'utf8')));
  };
  const save = (run: Run): Run => {
    writeFileSync(path(run.runId), JSON.stringify(Run.toJSON(run)));
    return run;
  };
  const events = history();
  const halfWay = BigInt(Math.trunc(events.length / 2));
  registrar.add(TrainingServiceDefinition, {
    startRun: async ({ runId, experiment, overrides, dataRoot, seed }) => {
      const experimentJson = canonicalJson(readExperiment({ text: experiment, overrides }));
      return { run: save(Run.fromPartial({ runId, state: RunState.RUNNING, experimentJson, dataRoot, seed })) };
    },
    getRun: async ({ runId }) => ({ run: load(runId) }),
    listRuns: async () => ({ runs: [], nextPageToken: '' }),
    async *watchRun({ runId, firstEvent }, { signal }) {
      for (const event of events.slice(Number(firstEvent))) {
        const isOver = (): boolean => signal.aborted || load(runId).state === RunState.CANCELLED;
        await pause(() => event.number !== halfWay || isOver() || !existsSync(join(state, holdFile('trainer'))));
        if (isOver()) return;
        if (event.kind?.$case === 'ended') {
          const [untrainedKnnTop1 = 0, ...knnTop1] = knn;
          const ended = {
            untrainedKnnTop1,
            knnTop1,
            meanLoss: [5, 4, 3],
            model: runId,
            artifacts: [],
            linearProbeTop1: linearProbe,
          };
          save({ ...load(runId), ...ended, state: RunState.SUCCEEDED, epochsCompleted: epochs });
        }
        yield { content: { $case: 'event' as const, value: event } };
      }
    },
    cancelRun: async ({ runId }) => ({ run: save({ ...load(runId), state: RunState.CANCELLED }) }),
    resumeRun: async ({ runId }) => ({ run: save({ ...load(runId), state: RunState.RUNNING }) }),
  });
}

/** The events of a run, without numbers' gaps. */
function history(): RunEvent[] {
  const kinds: Array<NonNullable<RunEvent['kind']>> = [
    {
      $case: 'started',
      value: {
        trainSize: 100,
        validationSize: 20,
        stepsPerEpoch,
        epochs,
        parameterCount: 1000n,
        device: 'fake',
        limitSteps: 0n,
      },
    },
    { $case: 'knnEvaluated', value: { epochsTrained: 0, top1: knn[0] ?? 0, seconds: 0.1 } },
  ];
  for (let epoch = 0; epoch < epochs; epoch++) {
    const rates = { pairsPerSecond: 100, dataWaitFraction: 0 };
    for (let step = 0; step < stepsPerEpoch; step++) {
      kinds.push({
        $case: 'stepCompleted',
        value: { epoch, step, loss: 5 - epoch, learningRate: 0.1, dataWaitSeconds: 0, ...rates },
      });
    }
    kinds.push({
      $case: 'epochCompleted',
      value: { epoch, meanLoss: 5 - epoch, seconds: 1, residentBytes: 1n, tensorCount: 1, ...rates },
    });
    kinds.push({ $case: 'knnEvaluated', value: { epochsTrained: epoch + 1, top1: knn[epoch + 1] ?? 0, seconds: 0.1 } });
  }
  const fit = { trainTop1: 70, loss: 0.5, iterations: 9, converged: true, seconds: 0.1 };
  kinds.push({ $case: 'linearProbeEvaluated', value: { epochsTrained: epochs, top1: linearProbe, ...fit } });
  kinds.push({ $case: 'ended', value: { state: RunState.SUCCEEDED, failure: undefined } });
  return kinds.map((kind, number) => ({ number: BigInt(number), time: new Date(), kind }));
}

function registerEmbedding(registrar: ServiceRegistrar, state: string): void {
  const total = 100;
  const job = (completed: number): EmbedDatasetJob => ({
    jobId: 'job',
    state: completed < total ? JobState.RUNNING : JobState.SUCCEEDED,
    completed,
    total,
    featuresKey: 'features',
    labelsKey: 'labels',
    dimension: 128,
    errorCode: '',
    errorMessage: '',
    createTime: new Date(),
  });
  registrar.add(EmbeddingServiceDefinition, {
    getInfo: async () => ({}),
    embed: async () => ({}),
    async *embedStream() {},
    startEmbedDataset: async () => ({ job: job(0) }),
    getEmbedDataset: async () => ({ job: job(total) }),
    async *watchEmbedDataset(_, { signal }) {
      for (let completed = 0; completed <= total; completed += 25) {
        const held = (): boolean => completed * 2 === total && existsSync(join(state, holdFile('embedding')));
        await pause(() => signal.aborted || !held());
        yield { job: job(completed) };
      }
    },
    cancelEmbedDataset: async () => ({ job: job(0) }),
    listModels: async () => ({ models: [] }),
    loadModel: async () => ({}),
    unloadModel: async () => ({}),
  });
}

function registerNeighbors(registrar: ServiceRegistrar): void {
  const job = (key: string): MiningJob => ({
    jobId: key,
    state: MiningState.SUCCEEDED,
    completed: 100n,
    total: 100n,
    key,
    accuracy: 75,
    errorCode: '',
    errorMessage: '',
  });
  registrar.add(NeighborIndexServiceDefinition, {
    getInfo: async () => ({}),
    createCollection: async () => ({}),
    getCollection: async () => ({}),
    listCollections: async () => ({ collections: [] }),
    deleteCollection: async () => ({}),
    updateAliases: async () => ({}),
    listAliases: async () => ({}),
    upsert: async () => ({}),
    delete: async () => ({}),
    get: async () => ({}),
    scroll: async () => ({}),
    count: async () => ({}),
    search: async () => ({}),
    multiSearch: async () => ({}),
    async *searchStream() {},
    searchByImage: async () => ({}),
    classify: async () => ({}),
    snapshot: async () => ({}),
    listSnapshots: async () => ({}),
    restore: async () => ({}),
    getStats: async () => ({}),
    startMining: async ({ key }) => ({ job: job(key) }),
    getMining: async ({ jobId }) => ({ job: job(jobId) }),
    async *watchMining({ jobId }) {
      yield { job: job(jobId) };
    },
    cancelMining: async ({ jobId }) => ({ job: job(jobId) }),
  });
}

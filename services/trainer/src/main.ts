// The trainer: wires the artifact store, the runs, who works on them and the gRPC door together.
import { openStore } from '@kindred/artifact-store';
import { createJobClient } from '@kindred/kubernetes-jobs';
import { TrainingServiceDefinition } from '@kindred/protocol/training';
import { createLogger, runMain, startService } from '@kindred/service-runtime';
import { loadConfig, tensorFlowOptions } from './config.js';
import { createEventFiles } from './event-files.js';
import { createLocalExecutor } from './executor.js';
import { createHandlers } from './handlers.js';
import { createJobQueue } from './job-queue.js';
import { createDatasetPinner } from './pinned-datasets.js';
import { createRunLineage } from './run-lineage.js';
import { createRunProgress } from './run-progress.js';
import { createRunQueue } from './run-queue.js';
import { roles } from './roles.js';
import { createRunStore } from './run-store.js';
import { openRuns } from './runs.js';

await runMain('trainer', async () => {
  const config = loadConfig();
  const logger = createLogger('trainer');
  const { artifactStore, dataAugmentationAddress, dataRetryMs, storeRetryMs, kubernetes } = config;
  const artifacts = await openStore(artifactStore, {
    patienceMs: storeRetryMs,
    onNotice: (message) => logger.warn(message),
  });
  const ends = {
    store: createRunStore(artifacts),
    eventFiles: createEventFiles(artifacts),
    lineage: createRunLineage(artifacts),
    logger,
  };
  const tensorFlow = tensorFlowOptions(config);
  const queue =
    kubernetes === null
      ? createRunQueue({
          ...ends,
          executor: createLocalExecutor({ artifactStore, dataAugmentationAddress, dataRetryMs, storeRetryMs }),
          tensorFlow,
          keepCheckpoints: config.keepCheckpoints,
        })
      : createJobQueue({
          ...ends,
          ...kubernetes,
          client: createJobClient(kubernetes),
          progress: createRunProgress(artifacts),
          tensorFlow,
        });
  const runs = await openRuns({
    ...ends,
    queue,
    pinDatasets: createDatasetPinner(artifacts),
    maxPendingRuns: config.maxPendingRuns,
  });
  const draining = new AbortController();
  const handlers = createHandlers(runs, draining.signal, kubernetes !== null);
  await startService({
    name: 'trainer',
    network: config.network,
    logger,
    register: (registrar) => registrar.add(TrainingServiceDefinition, handlers, roles),
    onDrain: () => draining.abort(),
    onClose: () => runs.close(),
  });
});

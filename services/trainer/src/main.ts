// The trainer: wires the artifact store, the runs and the gRPC door together.
import { openStore } from '@kindred/artifact-store';
import { TrainingServiceDefinition } from '@kindred/protocol/training';
import { createLogger, runMain, startService } from '@kindred/service-runtime';
import { loadConfig } from './config.js';
import { createEventFiles } from './event-files.js';
import { createLocalExecutor } from './executor.js';
import { createHandlers } from './handlers.js';
import { createDatasetPinner } from './pinned-datasets.js';
import { createRunLineage } from './run-lineage.js';
import { roles } from './roles.js';
import { createRunStore } from './run-store.js';
import { openRuns } from './runs.js';

await runMain('trainer', async () => {
  const config = loadConfig();
  const logger = createLogger('trainer');
  const { artifactStore, dataAugmentationAddress, dataRetryMs, storeRetryMs } = config;
  const artifacts = await openStore(artifactStore, {
    patienceMs: storeRetryMs,
    onNotice: (message) => logger.warn(message),
  });
  const runs = await openRuns({
    store: createRunStore(artifacts),
    eventFiles: createEventFiles(artifacts),
    lineage: createRunLineage(artifacts),
    executor: createLocalExecutor({ artifactStore, dataAugmentationAddress, dataRetryMs, storeRetryMs }),
    logger,
    tensorFlow: { intraOpThreads: config.threads, xla: config.xla, tf32: config.tf32 },
    pinDatasets: createDatasetPinner(artifacts),
    maxPendingRuns: config.maxPendingRuns,
    keepCheckpoints: config.keepCheckpoints,
  });
  const draining = new AbortController();
  await startService({
    name: 'trainer',
    network: config.network,
    logger,
    register: (registrar) => registrar.add(TrainingServiceDefinition, createHandlers(runs, draining.signal), roles),
    onDrain: () => draining.abort(),
    onClose: () => runs.close(),
  });
});

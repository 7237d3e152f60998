// The trainer: wires the artifact store, the runs, who works on them and the gRPC door together.
import { openStore } from '@kindred/artifact-store';
import { TrainingServiceDefinition } from '@kindred/protocol/training';
import { createLogger, runMain, startService } from '@kindred/service-runtime';
import { chosenQueue } from './chosen-queue.js';
import { loadConfig } from './config.js';
import { createEventFiles } from './event-files.js';
import { fencedStore } from './fenced-store.js';
import { createHandlers } from './handlers.js';
import { createDatasetPinner } from './pinned-datasets.js';
import { createRunLineage } from './run-lineage.js';
import { roles } from './roles.js';
import { createRunStore } from './run-store.js';
import { openInTurn } from './runs-in-turn.js';
import { openRuns } from './runs.js';
import { onlyTurn, takeTurn } from './turn.js';

await runMain('trainer', async () => {
  const config = loadConfig();
  const logger = createLogger('trainer');
  const store = await openStore(config.artifactStore, {
    patienceMs: config.storeRetryMs,
    onNotice: (message) => logger.warn(message),
  });
  const onStray = (key: string): never => {
    logger.fatal({ key }, 'it is not certain any more that no other trainer writes this; this one ends');
    process.exit(1);
  };
  const artifacts = config.kubernetes === null ? store : fencedStore(store, { isOurs: () => turn.isOurs, onStray });
  const ends = {
    store: createRunStore(artifacts),
    eventFiles: createEventFiles(artifacts),
    lineage: createRunLineage(artifacts),
    logger,
  };
  const open = () =>
    openRuns({
      ...ends,
      queue: chosenQueue(config, artifacts, ends, turn),
      pinDatasets: createDatasetPinner(artifacts),
      maxPendingRuns: config.maxPendingRuns,
    });
  // At once: what it still wrote would be beside what the other one writes.
  const turn = config.kubernetes === null ? onlyTurn : takeTurn(config.kubernetes, logger, () => process.exit(1));
  const runs = openInTurn(turn, open);
  // A start that fails says so before anybody calls; another trainer's end is waited for with the port open.
  if (config.kubernetes === null) await runs.ready;
  const draining = new AbortController();
  const handlers = createHandlers(runs, draining.signal, config.kubernetes !== null);
  await startService({
    name: 'trainer',
    network: config.network,
    logger,
    ready: runs.ready,
    register: (registrar) => registrar.add(TrainingServiceDefinition, handlers, roles),
    onDrain: () => draining.abort(),
    onClose: () => runs.close(),
  });
});

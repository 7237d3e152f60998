// The process `neighbor-index`: wiring.
import { openStore } from '@kindred/artifact-store';
import { createFaissEngine } from '@kindred/faiss-native';
import { NeighborIndexServiceDefinition } from '@kindred/protocol/neighbors';
import { createLogger, runMain, startService } from '@kindred/service-runtime';
import { loadConfig } from './config.js';
import { createHandlers } from './handlers.js';
import { createIndexes } from './indexes.js';
import { createMining } from './mining.js';
import { roles } from './roles.js';

await runMain('neighbor-index', async () => {
  const logger = createLogger('neighbor-index');
  const { network, artifactStore, limits } = loadConfig();
  const store = await openStore(artifactStore, { onNotice: (message) => logger.warn(message) });
  const engine = createFaissEngine();
  const indexes = createIndexes({ store, engine, limits, logger });
  const mining = createMining({ store, engine, maxRunning: limits.maxMiningJobs });
  await startService({
    name: 'neighbor-index',
    network,
    logger,
    ready: indexes.load(),
    register: (services) =>
      services.add(NeighborIndexServiceDefinition, createHandlers({ indexes, mining, limits }), roles),
    onDrain: () => mining.close(),
    onClose: () => engine.close(),
  });
});

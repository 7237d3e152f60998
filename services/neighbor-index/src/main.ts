// The process `neighbor-index`: wiring.
import { openStore } from '@kindred/artifact-store';
import { createFaissEngine, setSearchThreads } from '@kindred/faiss-native';
import { NeighborIndexServiceDefinition } from '@kindred/protocol/neighbors';
import { createHealthBoard, createLogger, runMain, startService } from '@kindred/service-runtime';
import { createNeighborIndex } from './neighbor-index.js';
import { loadConfig } from './config.js';
import { roles } from './roles.js';
import { lockDataFolder } from './storage/data-folder-lock.js';
import { makeFolderDurably } from './storage/disk.js';

await runMain('neighbor-index', async () => {
  const logger = createLogger('neighbor-index');
  const config = loadConfig();
  setSearchThreads(config.searchThreads);
  await makeFolderDurably(config.dataFolder);
  const lock = await lockDataFolder(config.dataFolder);
  const store = await openStore(config.artifactStore, { onNotice: (message) => logger.warn(message) });
  const engine = createFaissEngine();
  const health = createHealthBoard();
  const index = createNeighborIndex({ config, store, engine, logger, health });
  await startService({
    name: 'neighbor-index',
    network: config.network,
    logger,
    health,
    ready: index.load(),
    register: (services) => services.add(NeighborIndexServiceDefinition, index.handlers, roles),
    onDrain: () => index.drain(),
    onClose: async () => {
      await index.close();
      await engine.close();
      await lock.release();
    },
  });
});

// The embedding service: wires the artifact store, the models, the jobs and the gRPC door together.
import { openStore } from '@kindred/artifact-store';
import { EmbeddingServiceDefinition } from '@kindred/protocol/embedding';
import { createLogger, runMain, startService } from '@kindred/service-runtime';
import { loadConfig } from './config.js';
import { createEmbedding } from './embedding.js';
import { roles } from './roles.js';

await runMain('embedding', async () => {
  const config = loadConfig();
  const logger = createLogger('embedding');
  const store = await openStore(config.artifactStore, { onNotice: (message) => logger.warn(message) });
  const embedding = createEmbedding(config, store);
  await startService({
    name: 'embedding',
    network: config.network,
    logger,
    register: (registrar) => registrar.add(EmbeddingServiceDefinition, embedding.handlers, roles),
    onDrain: () => embedding.drain(),
    onClose: () => embedding.close(),
  });
});

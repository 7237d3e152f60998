// The embedding service: wires the artifact store, the models, the jobs and the gRPC doors together.
import { openStore } from '@kindred/artifact-store';
import { EmbeddingServiceDefinition } from '@kindred/protocol/embedding';
import { GRPCInferenceServiceDefinition } from '@kindred/protocol/inference';
import { createLogger, runMain, startService } from '@kindred/service-runtime';
import { loadConfig } from './config.js';
import { createEmbedding } from './embedding.js';
import { inferenceRoles, roles } from './roles.js';

await runMain('embedding', async () => {
  const config = loadConfig();
  const logger = createLogger('embedding');
  const store = await openStore(config.artifactStore, { onNotice: (message) => logger.warn(message) });
  const embedding = createEmbedding(config, store, logger);
  await startService({
    name: 'embedding',
    network: config.network,
    register(registrar) {
      registrar.add(EmbeddingServiceDefinition, embedding.handlers, roles);
      registrar.add(GRPCInferenceServiceDefinition, embedding.inferenceHandlers, inferenceRoles);
    },
    ready: embedding.ready,
    health: embedding.health,
    overloaded: embedding.overloaded,
    onDrain: () => embedding.drain(),
    onClose: () => embedding.close(),
    logger,
  });
});

// The embedding service: wires the artifact store, the models, the jobs and the gRPC door together.
import { createFolderStore } from '@kindred/artifact-store';
import { EmbeddingServiceDefinition } from '@kindred/protocol/embedding';
import { runMain, startService } from '@kindred/service-runtime';
import { loadConfig } from './config.js';
import { createEmbedding } from './embedding.js';
import { roles } from './roles.js';

await runMain('embedding', async () => {
  const config = loadConfig();
  const embedding = createEmbedding(config, await createFolderStore(config.artifactStore));
  await startService({
    name: 'embedding',
    network: config.network,
    register: (registrar) => registrar.add(EmbeddingServiceDefinition, embedding.handlers, roles),
    onDrain: () => embedding.drain(),
    onClose: () => embedding.close(),
  });
});

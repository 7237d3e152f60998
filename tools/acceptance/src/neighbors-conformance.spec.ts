// The conformance suite over the embedded engine; neighbors-cluster.acceptance.ts runs it over Weaviate.
import { join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll } from 'vitest';
import { defineNeighborConformance } from './neighbor-conformance.js';
import { connectNeighbors } from './neighbor-requests.js';
import { startRestartedService, type RestartedService } from './restarted-service.js';

const folder = temporaryFolder('neighbors-conformance');
const artifacts = join(folder, 'artifacts');
let service: RestartedService;
let connection: ReturnType<typeof connectNeighbors>;

beforeAll(async () => {
  service = await startRestartedService('neighbor-index', {
    KINDRED_ARTIFACT_STORE: artifacts,
    KINDRED_NEIGHBOR_INDEX_DATA: join(folder, 'data'),
  });
  connection = connectNeighbors(service.address);
});
afterAll(async () => {
  connection.close();
  await service.stop();
});

defineNeighborConformance({ name: 'the embedded engine', config: {}, artifacts, client: () => connection.client });

// Which role each RPC asks for, where tokens are asked for at all (docs/security.md).
import type { EmbeddingServiceDefinition } from '@kindred/protocol/embedding';
import type { GRPCInferenceServiceDefinition } from '@kindred/protocol/inference';
import type { RpcRoles } from '@kindred/service-runtime';

/** Applications embed (`serve`, which is `read`); data-set jobs write; which models are loaded is for admins. */
export const roles: RpcRoles<typeof EmbeddingServiceDefinition> = {
  embed: 'read',
  embedStream: 'read',
  getInfo: 'read',
  startEmbedDataset: 'write',
  getEmbedDataset: 'read',
  watchEmbedDataset: 'read',
  cancelEmbedDataset: 'write',
  listModels: 'read',
  loadModel: 'admin',
  unloadModel: 'admin',
};

/** The same through the Open Inference Protocol; whether server and models are ready is for everyone, as health is. */
export const inferenceRoles: RpcRoles<typeof GRPCInferenceServiceDefinition> = {
  serverLive: 'open',
  serverReady: 'open',
  modelReady: 'open',
  serverMetadata: 'read',
  modelMetadata: 'read',
  modelInfer: 'read',
  repositoryIndex: 'read',
  repositoryModelLoad: 'admin',
  repositoryModelUnload: 'admin',
};

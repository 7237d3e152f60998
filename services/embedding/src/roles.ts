// Which role each RPC asks for, where tokens are asked for at all (docs/security.md).
import type { EmbeddingServiceDefinition } from '@kindred/protocol/embedding';
import type { RpcRoles } from '@kindred/service-runtime';

/** Applications embed (`serve`, which is `read`); data-set jobs write; which models are loaded is for admins. */
export const roles: RpcRoles<typeof EmbeddingServiceDefinition> = {
  embed: 'read',
  embedStream: 'read',
  startEmbedDataset: 'write',
  getEmbedDataset: 'read',
  watchEmbedDataset: 'read',
  cancelEmbedDataset: 'write',
  listModels: 'read',
  loadModel: 'admin',
  unloadModel: 'admin',
};

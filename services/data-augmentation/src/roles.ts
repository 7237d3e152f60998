// Which role each RPC asks for, where tokens are asked for at all (docs/security.md).
import type { AugmentationServiceDefinition } from '@kindred/protocol/augmentation';
import type { RpcRoles } from '@kindred/service-runtime';

/** Reading data sets and making views changes nothing. */
export const roles: RpcRoles<typeof AugmentationServiceDefinition> = {
  listDatasets: 'read',
  getDataset: 'read',
  streamBatches: 'read',
  augment: 'read',
};

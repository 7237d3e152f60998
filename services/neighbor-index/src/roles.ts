// Which role each RPC asks for, where tokens are asked for at all (docs/security.md).
import type { NeighborIndexServiceDefinition } from '@kindred/protocol/neighbors';
import type { RpcRoles } from '@kindred/service-runtime';

/** Searching reads, also as a job that mines a whole index; which indexes exist is for admins, except that whoever fills one may create it. */
export const roles: RpcRoles<typeof NeighborIndexServiceDefinition> = {
  createIndex: 'write',
  getIndex: 'read',
  listIndexes: 'read',
  deleteIndex: 'admin',
  upsert: 'write',
  search: 'read',
  classify: 'read',
  startMining: 'write',
  getMining: 'read',
  watchMining: 'read',
  cancelMining: 'write',
};

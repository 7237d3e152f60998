// Which role each RPC asks for, where tokens are asked for at all (docs/security.md).
import type { NeighborIndexServiceDefinition } from '@kindred/protocol/neighbors';
import type { RpcRoles } from '@kindred/service-runtime';

/** Searching reads; filling, deleting points and mining write; whole collections are for admins, except that whoever fills one may create it. */
export const roles: RpcRoles<typeof NeighborIndexServiceDefinition> = {
  getInfo: 'read',
  createCollection: 'write',
  getCollection: 'read',
  listCollections: 'read',
  deleteCollection: 'admin',
  updateAliases: 'admin',
  listAliases: 'read',
  upsert: 'write',
  delete: 'write',
  get: 'read',
  scroll: 'read',
  count: 'read',
  search: 'read',
  multiSearch: 'read',
  searchStream: 'read',
  searchByImage: 'read',
  classify: 'read',
  startMining: 'write',
  getMining: 'read',
  watchMining: 'read',
  cancelMining: 'write',
  snapshot: 'admin',
  listSnapshots: 'read',
  restore: 'admin',
  getStats: 'read',
};

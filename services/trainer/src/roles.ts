// Which role each RPC asks for, where tokens are asked for at all (docs/security.md).
import type { TrainingServiceDefinition } from '@kindred/protocol/training';
import type { RpcRoles } from '@kindred/service-runtime';

/** Runs are the data of this service; whoever may write may start and end them. */
export const roles: RpcRoles<typeof TrainingServiceDefinition> = {
  startRun: 'write',
  getRun: 'read',
  listRuns: 'read',
  watchRun: 'read',
  cancelRun: 'write',
  resumeRun: 'write',
};

// A training service of which a test writes the handlers that it is about, and a log that it can read.
import type { TrainingServiceImplementation } from '@kindred/protocol/training';
import { pino } from 'pino';
import { logFields } from '../call-scope.js';
import type { Logger, RpcRoles } from '../index.js';
import type { TrainingServiceDefinition } from '@kindred/protocol/training';

/** Handlers of which a test replaces the one that it is about. */
export function trainingHandlers(own: Partial<TrainingServiceImplementation>): TrainingServiceImplementation {
  const missing = (): never => {
    throw new Error('not part of this test');
  };
  return {
    startRun: missing,
    getRun: missing,
    listRuns: missing,
    watchRun: missing,
    cancelRun: missing,
    resumeRun: missing,
    ...own,
  };
}

/** One RPC of each role. */
export const trainingRoles: RpcRoles<typeof TrainingServiceDefinition> = {
  startRun: 'write',
  getRun: 'read',
  listRuns: 'open',
  watchRun: 'read',
  cancelRun: 'admin',
  resumeRun: 'write',
};

/** A logger of everything. */
export interface CollectedLog {
  readonly logger: Logger;
  /** All lines so far, parsed. */
  lines(): Record<string, unknown>[];
  /** All lines so far, as written. */
  text(): string;
}

/** Makes one. */
export function collectedLog(): CollectedLog {
  const written: string[] = [];
  const logger = pino({ level: 'trace', mixin: logFields }, { write: (line: string) => void written.push(line) });
  return {
    logger,
    lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>),
    text: () => written.join(''),
  };
}

// The outermost frame of a service process: a failed start is one clear message and a non-zero exit.
import { isKindredError } from '@kindred/errors';
import { createLogger } from './logger.js';
import type { ServiceName } from './services.js';

/**
 * Runs `start`. When it fails, tells an IPC parent (`{kind: 'failed', code, message}`), logs, and exits with 1 for the
 * user's mistakes and 70 (EX_SOFTWARE) for ours.
 */
export async function runMain(name: ServiceName, start: () => Promise<void>): Promise<void> {
  try {
    await start();
  } catch (thrown) {
    const ours = !isKindredError(thrown);
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    const logger = createLogger(name);
    if (ours) logger.fatal({ err: thrown }, 'cannot start');
    else logger.fatal({ code: thrown.code }, `cannot start: ${message}`);
    const exit = (): never => process.exit(ours ? 70 : 1);
    if (process.send === undefined) exit();
    else process.send({ kind: 'failed', code: ours ? 'INTERNAL' : thrown.code, message }, exit);
  }
}

// Ctrl-C and SIGTERM: the first asks the command to end in order, the second ends it at once.
import { exitCodes } from './exit-codes.js';

/** The wish of a person or supervisor that the command end. */
export interface Interruption {
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** Runs `action` when a second one comes, before the process ends. */
  onSecond(action: () => void): void;
  /** Stops listening. */
  close(): void;
}

/** Starts to listen for SIGINT and SIGTERM. */
export function createInterruption(): Interruption {
  const abort = new AbortController();
  const actions: Array<() => void> = [];
  const onSignal = (): void => {
    if (!abort.signal.aborted) {
      abort.abort();
      return;
    }
    for (const action of actions) action();
    process.exit(exitCodes.interrupted);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    signal: abort.signal,
    onSecond: (action) => actions.push(action),
    close() {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}

// What the process's exit code tells the caller: one table, shown by --help and used by every command.
import { toKindredError, type ErrorCode } from '@kindred/errors';

/** The exit codes of `kindred`. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  badInput: 2,
  unavailable: 3,
  damaged: 4,
  interrupted: 130,
  readerLeft: 141,
} as const;

/** One of {@link exitCodes}. */
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The table for `--help`. */
export const exitCodeHelp = `
Exit codes:
  0    done
  1    failed
  2    wrong usage or input (unknown option, key, dataset, run or index; a value out of range)
  3    a service does not answer
  4    stored data is damaged
  130  interrupted by Ctrl-C
  141  whoever read the output has left (kindred … | head)`;

const exitCodeOf: Record<ErrorCode, ExitCode> = {
  INVALID_ARGUMENT: exitCodes.badInput,
  NOT_FOUND: exitCodes.badInput,
  ALREADY_EXISTS: exitCodes.badInput,
  UNAUTHENTICATED: exitCodes.badInput,
  PERMISSION_DENIED: exitCodes.badInput,
  FAILED_PRECONDITION: exitCodes.failed,
  RESOURCE_EXHAUSTED: exitCodes.failed,
  UNAVAILABLE: exitCodes.unavailable,
  DEADLINE_EXCEEDED: exitCodes.unavailable,
  CANCELLED: exitCodes.interrupted,
  ABORTED: exitCodes.failed,
  UNIMPLEMENTED: exitCodes.failed,
  DATA_LOSS: exitCodes.damaged,
  INTERNAL: exitCodes.failed,
};

/** The exit code for any thrown value. */
export function exitCodeFor(thrown: unknown): ExitCode {
  return exitCodeOf[toKindredError(thrown).code];
}

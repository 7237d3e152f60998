// A reason to stop that the person can do something about.

/** Exit codes of `setup.mjs`: what a script that calls it can tell apart. */
export const ExitCode = /** @type {const} */ ({
  failed: 1,
  usage: 2,
  missingPackages: 3,
  damagedDownload: 4,
  unreachable: 5,
});

/** Stops the set-up with what happened and, in `advice`, what to do about it. */
export class SetupError extends Error {
  /**
   * @param {string} message what happened
   * @param {{ advice?: string, exitCode?: number, cause?: unknown }} [more]
   */
  constructor(message, { advice, exitCode = ExitCode.failed, cause } = {}) {
    super(message, { cause });
    this.name = 'SetupError';
    this.advice = advice;
    this.exitCode = exitCode;
  }
}

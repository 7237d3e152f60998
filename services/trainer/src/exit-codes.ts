// How a run's pod ends, as the Job's podFailurePolicy reads it.

/** Exit codes of `training-run`. */
export const trainingExit = {
  /** Its outcome is stored. */
  done: 0,
  /** The run has failed for good, its outcome is stored: another pod would fail in the same way. */
  failed: 42,
  /** It could not work, and another pod may: the store does not answer, memory is short. */
  retry: 1,
  /** It was told to stop. */
  stopped: 143,
} as const;

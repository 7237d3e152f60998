// The closed set of error codes. Their names are gRPC's, so that no meaning is lost on the wire.

/** Every code that a {@link KindredError} can carry, with what it tells the caller to do. */
export const errorCodes = {
  /** The request or file content is wrong whatever the state of the system; mend it and send again. */
  INVALID_ARGUMENT: 'INVALID_ARGUMENT',
  /** The named dataset, run, model, index or artifact does not exist. */
  NOT_FOUND: 'NOT_FOUND',
  /** What was to be created exists already with other content. */
  ALREADY_EXISTS: 'ALREADY_EXISTS',
  /** The caller did not say who it is, or with a token that is not known. */
  UNAUTHENTICATED: 'UNAUTHENTICATED',
  /** The caller may not do this: a path outside the allowed roots, or a missing right. */
  PERMISSION_DENIED: 'PERMISSION_DENIED',
  /** The system is not in a state for this (for example cancelling an ended run); a repeat alone does not help. */
  FAILED_PRECONDITION: 'FAILED_PRECONDITION',
  /** A stated limit was passed, a queue is full, or the disk is; retry later or send less. */
  RESOURCE_EXHAUSTED: 'RESOURCE_EXHAUSTED',
  /** A service or store does not answer; retry with backoff. */
  UNAVAILABLE: 'UNAVAILABLE',
  /** The caller's deadline passed. */
  DEADLINE_EXCEEDED: 'DEADLINE_EXCEEDED',
  /** The caller, or a person, cancelled. */
  CANCELLED: 'CANCELLED',
  /** Concurrent change; repeat the whole read-modify-write. */
  ABORTED: 'ABORTED',
  /** A part of the system is not built for this. */
  UNIMPLEMENTED: 'UNIMPLEMENTED',
  /** Stored bytes are damaged: a hash, length or structure does not hold. */
  DATA_LOSS: 'DATA_LOSS',
  /** A fault of ours. */
  INTERNAL: 'INTERNAL',
} as const;

/** One of {@link errorCodes}. */
export type ErrorCode = keyof typeof errorCodes;

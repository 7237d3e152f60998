// Limits that both sides of a connection must agree on.

/** Largest gRPC message in bytes, either way: 64 MiB. gRPC's own default for receiving is 4 MiB. */
export const maxMessageBytes = 64 * 1024 * 1024;

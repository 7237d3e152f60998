// Limits that both sides of a connection must agree on.

/** Largest gRPC message in bytes, either way: 64 MiB. gRPC's own default for receiving is 4 MiB. */
export const maxMessageBytes = 64 * 1024 * 1024;

/**
 * Bytes of pixels in one message, either way: 48 MiB of its 64, which leaves room for whatever else it says. Senders divide by
 * it, receivers name it when they refuse.
 */
export const maxPixelBytes = 48 * 1024 * 1024;

// How much one call to the thread does: enough to be worth it, little enough that other callers get their turn.

/** Multiplications a call: about 0.2 s on two cores; calls of different callers take turns in between. */
export const productsPerCall = 4e9;
/** Bytes of vectors a call: each call copies them once. */
export const bytesPerTransfer = 64 * 1024 * 1024;

// Types of lock.mjs for tools in TypeScript.

/** Runs `work` while no other process of this machine holds the lock, a folder; `onWait` is told the holder's process number. */
export function withLock<T>(
  path: string,
  work: () => Promise<T>,
  options?: { readonly onWait?: (owner: string) => void; readonly pollMs?: number },
): Promise<T>;

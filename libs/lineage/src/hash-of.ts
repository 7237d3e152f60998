// The SHA-256 of an object's bytes as they are read now.
import { createHash } from 'node:crypto';
import type { LineageStore } from './lineage-store.js';

/** Reads an object part by part and returns its SHA-256, lower-case hexadecimal. NOT_FOUND if absent. */
export async function hashOf(store: Pick<LineageStore, 'read'>, key: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of store.read(key)) hash.update(part);
  return hash.digest('hex');
}

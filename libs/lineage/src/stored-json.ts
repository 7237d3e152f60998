// Reading JSON objects of others, of which only a part is looked at.
import { isKindredError } from '@kindred/errors';
import type { z } from 'zod';
import type { LineageStore } from './lineage-store.js';

/** What reading one object has given: its value, or that it is gone or cannot be read. */
export type StoredJson<T> = { readonly value: T } | { readonly absent: true } | { readonly problem: string };

/** Reads an object as JSON of a form. Only a store that does not answer is an error. */
export async function readStoredJson<S extends z.ZodType>(
  store: Pick<LineageStore, 'get'>,
  key: string,
  schema: S,
): Promise<StoredJson<z.output<S>>> {
  let bytes: Uint8Array;
  try {
    bytes = await store.get(key);
  } catch (thrown) {
    if (isKindredError(thrown, 'NOT_FOUND')) return { absent: true };
    if (isKindredError(thrown, 'DATA_LOSS')) return { problem: thrown.message };
    throw thrown;
  }
  try {
    return { value: schema.parse(JSON.parse(new TextDecoder().decode(bytes))) };
  } catch (thrown) {
    return { problem: thrown instanceof SyntaxError ? 'is not whole JSON' : 'has not the form that it must have' };
  }
}

// What an artifact key may look like.
import { invalidField } from '@kindred/errors';

const segment = /^[A-Za-z0-9._=-]+$/;

/** Returns `key` if it is well-formed. @throws KindredError INVALID_ARGUMENT naming the key otherwise. */
export function checkedKey(key: string): string {
  const wellFormed =
    key.length <= 1024 && key.split('/').every((part) => segment.test(part) && part !== '.' && part !== '..');
  if (wellFormed) return key;
  throw invalidField('key', `got '${key}'; allowed: segments of letters, digits, '.', '_', '=', '-' joined by '/'`);
}

// The SHA-256 of content on its way, and what is said when it is not the one that was expected.
import { createHash } from 'node:crypto';
import { KindredError, invalidField } from '@kindred/errors';
import type { PutOptions, ReadOptions } from './artifact-store.js';

const sha256Form = /^[0-9a-f]{64}$/;

/** SHA-256 of bytes, lower-case hexadecimal. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Checks the options of a read. @throws KindredError INVALID_ARGUMENT naming the option that cannot be used. */
export function checkedRead(options: string | ReadOptions = {}): ReadOptions {
  const read = typeof options === 'string' ? { sha256: options } : options;
  const { sha256, offset = 0, length = 0 } = read;
  checkSha256(sha256);
  for (const [field, value] of Object.entries({ offset, length })) {
    if (!Number.isSafeInteger(value) || value < 0) throw invalidField(field, `got ${value}; allowed: bytes from 0`);
  }
  if (sha256 !== undefined && isRange(read)) {
    throw invalidField('sha256', 'got a hash for a range; allowed: with whole objects only');
  }
  return read;
}

/** Checks the options of a put. @throws KindredError INVALID_ARGUMENT naming the option that cannot be used. */
export function checkedPut(options: PutOptions = {}): PutOptions {
  checkSha256(options.sha256);
  if (options.ifAbsent === true && options.ifMatch !== undefined) {
    throw invalidField('ifMatch', 'got it with ifAbsent; allowed: one of the two');
  }
  return options;
}

/** Whether a read asks for less than the whole object. */
export function isRange({ offset, length }: ReadOptions): boolean {
  return (offset ?? 0) > 0 || length !== undefined;
}

/**
 * Passes parts on, and at their end checks their hash.
 * @throws KindredError DATA_LOSS when it is not `expected`.
 */
export async function* verified(
  parts: AsyncIterable<Uint8Array>,
  key: string,
  expected: string,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const part of parts) {
    hash.update(part);
    yield part;
  }
  checkHash(key, hash.digest('hex'), expected);
}

/** @throws KindredError DATA_LOSS about the object when `got` is not `expected`. */
export function checkHash(key: string, got: string, expected: string): void {
  if (got === expected) return;
  throw new KindredError(
    'DATA_LOSS',
    `artifact '${key}' is damaged: its SHA-256 is ${got}, it should be ${expected}; put it again from where it came`,
    { resource: { type: 'artifact', name: key } },
  );
}

function checkSha256(sha256: string | undefined): void {
  if (sha256 === undefined || sha256Form.test(sha256)) return;
  throw invalidField('sha256', `got '${sha256}'; allowed: 64 hexadecimal digits in lower case`);
}

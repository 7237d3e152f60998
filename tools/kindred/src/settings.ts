// Command line values → checked values; each fault names the option, what was got and what is allowed.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { KindredError, invalidField } from '@kindred/errors';
import { datasetBaseName } from '@kindred/lineage';

/** Longest run id: an index id is the run's id and `-train`, at most 63 characters. */
const maxRunIdLength = 57;

/** `--set key=value`, given any number of times. The last of a key holds. */
export function parseOverrides(settings: readonly string[]): Record<string, string> {
  const overrides: Record<string, string> = {};
  for (const setting of settings) {
    const at = setting.indexOf('=');
    if (at < 1)
      throw invalidField('--set', `got '${setting}'; allowed: key=value, for example optimizer_kwargs.lr=0.1`);
    overrides[setting.slice(0, at).trim()] = setting.slice(at + 1).trim();
  }
  return overrides;
}

/** A whole number within bounds. */
export function parseWhole(option: string, value: string, min: number, max: number): number {
  const number = Number(value);
  if (!/^\d+$/.test(value) || number < min || number > max) {
    throw invalidField(option, `got '${value}'; allowed: a whole number from ${min} to ${max}`);
  }
  return number;
}

/** A seed of 64 bits. */
export function parseSeed(value: string): bigint {
  if (!/^\d{1,20}$/.test(value) || BigInt(value) >= 1n << 64n) {
    throw invalidField('--seed', `got '${value}'; allowed: a whole number from 0 to 2^64 - 1`);
  }
  return BigInt(value);
}

/** Checks a run id. */
export function parseRunId(option: string, value: string): string {
  if (!/^[a-z0-9][a-z0-9-]*$/.test(value) || value.length > maxRunIdLength) {
    throw invalidField(
      option,
      `got '${value}'; allowed: lower-case letters, digits and dashes, at most ${maxRunIdLength}`,
    );
  }
  return value;
}

/** An id for a new run: made here, so that asking again for it after a lost answer starts nothing twice. */
export function newRunId(dataset: string, now: Date = new Date()): string {
  const stamp = now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
  // A pushed data set's name may be longer than a run id, and have dots.
  const name = datasetBaseName(dataset)
    .replace(/[^a-z0-9-]/g, '-')
    .slice(0, maxRunIdLength - 30);
  return `simclr-${name}-${stamp}-${randomBytes(2).toString('hex')}`;
}

/** The text of a file that an option names. @throws KindredError NOT_FOUND naming both. */
export async function readNamedFile(option: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    throw new KindredError('NOT_FOUND', `${option}: '${path}' cannot be read: ${(thrown as Error).message}`, {
      resource: { type: 'file', name: path },
      cause: thrown,
    });
  }
}

/** A data folder as the services are told it; empty stays empty: their first. */
export function dataRootOf(path: string | undefined): string {
  return path === undefined || path === '' ? '' : resolve(path);
}

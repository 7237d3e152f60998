// Configuration from the environment: raw text, validated with defaults, frozen.
import { KindredError, type FieldViolation } from '@kindred/errors';
import { z } from 'zod';

/** Schemas of the kinds of value that an environment variable can hold. */
export const fields = {
  /** A whole number within bounds. */
  integer: (min: number, max: number) => z.coerce.number().int().min(min).max(max),
  /** A switch: `1` or `0`. */
  flag: () => z.enum(['0', '1']).transform((value) => value === '1'),
  /** A TCP port; 0: any free one. */
  port: () => z.coerce.number().int().min(0).max(65535),
  /** One of some words. */
  choice: <const T extends readonly string[]>(...words: T) => z.enum(words),
  /** Text that is not empty. */
  text: () => z.string().min(1),
  /** Texts separated by commas; blanks around them are no part of them. */
  texts: () =>
    z.string().transform((value) =>
      value
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    ),
  /** Texts separated by colons, as in PATH. */
  paths: () =>
    z
      .string()
      .min(1)
      .transform((value) => value.split(':').filter((part) => part !== '')),
} as const;

/**
 * Reads the variables named by the keys of `schema` from `environment`. An empty variable counts as not set.
 * @throws KindredError INVALID_ARGUMENT with one violation a variable: what was got, what is allowed.
 */
export function readConfig<S extends z.ZodRawShape>(
  environment: Readonly<Record<string, string | undefined>>,
  schema: S,
): Readonly<z.output<z.ZodObject<S>>> {
  const raw: Record<string, string> = {};
  for (const name of Object.keys(schema)) {
    const value = environment[name];
    if (value !== undefined && value !== '') raw[name] = value;
  }
  const result = z.object(schema).safeParse(raw);
  if (result.success) return Object.freeze(result.data);
  const violations: FieldViolation[] = result.error.issues.map((issue) => {
    const field = issue.path.join('.');
    const got = raw[field] === undefined ? 'is not set' : `is '${raw[field]}'`;
    return { field, description: `${got}; ${issue.message}` };
  });
  const text = violations.map(({ field, description }) => `${field} ${description}`).join('\n  ');
  throw new KindredError('INVALID_ARGUMENT', `the environment holds settings that cannot be used:\n  ${text}`, {
    violations,
  });
}

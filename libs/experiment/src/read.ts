// From YAML text to a checked experiment: overrides applied, defaults filled in, every fault named by file, line and key.
import { KindredError, type FieldViolation } from '@kindred/errors';
import type { z } from 'zod';
import { environmentSchema, experimentSchema, type Environment, type Experiment } from './schema.js';
import { show, shortened } from './values.js';
import { isMapping, readYaml, valueAt } from './yaml-value.js';

/** YAML text and where it comes from. */
export interface ExperimentSource {
  /** The text. */
  readonly text: string;
  /** File name for errors. @default `experiment` */
  readonly file?: string;
  /** Values by dotted key, as text in YAML's notation: `{'optimizer_kwargs.lr': '0.1'}`. */
  readonly overrides?: Readonly<Record<string, string>>;
}

/**
 * Reads an experiment. Keys are the reference's; see {@link experimentSchema}.
 * @throws KindredError INVALID_ARGUMENT with one violation a fault; its text names the file, the line or that an override is meant,
 * the key, and what is allowed.
 */
export function readExperiment(source: ExperimentSource): Experiment {
  return read(experimentSchema, source);
}

/** Reads an environment file. Errors as {@link readExperiment}. */
export function readEnvironment(source: ExperimentSource): Environment {
  return read(environmentSchema, source);
}

/** The experiment as JSON, with sorted keys: equal experiments give equal text. */
export function canonicalJson(experiment: Experiment): string {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value) || typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, sorted(item)]));
  };
  return JSON.stringify(sorted(experiment));
}

function read<S extends z.ZodType>(
  schema: S,
  { text, file = 'experiment', overrides = {} }: ExperimentSource,
): z.output<S> {
  const reading = readYaml(text);
  if (reading.fault !== null) {
    throw faulty(file, [{ field: '', place: `${file}:${reading.line}`, description: `not YAML: ${reading.fault}` }]);
  }
  const overridePlace = `${file}, overridden`;
  let data: unknown = reading.value ?? {};
  for (const [key, value] of Object.entries(overrides)) {
    const refuse = (description: string): KindredError =>
      faulty(file, [{ field: key, place: overridePlace, description }]);
    data = withOverride(data, key, value, refuse);
  }
  if (!isMapping(data)) {
    const description = `got ${show(data)}; allowed: a mapping with the keys ${knownKeys(schema, []).join(', ')}`;
    throw faulty(file, [{ field: '', place: `${file}:1`, description }]);
  }
  const result = schema.safeParse(data);
  if (result.success) return result.data;

  const isOverridden = (path: readonly PropertyKey[]): boolean =>
    path.some((_, i) => Object.hasOwn(overrides, path.slice(0, i + 1).join('.')));
  const place = (path: readonly PropertyKey[]): string => {
    if (isOverridden(path)) return overridePlace;
    const line = reading.lineOf(path);
    return line === null ? file : `${file}:${line}`;
  };
  throw faulty(
    file,
    result.error.issues.flatMap((issue) => {
      const paths = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
      return paths.map((path) => ({
        field: path.join('.'),
        place: place(path),
        description: describe(issue, schema, data),
      }));
    }),
  );
}

interface Fault extends FieldViolation {
  /** File and line, or that it came by an override. */
  readonly place: string;
}

/** One error for all faults of a file; a violation without a field is about the file as a whole. */
function faulty(file: string, faults: readonly Fault[]): KindredError {
  const sentences = faults.map(({ place, field, description }) =>
    [place, field, description].filter((part) => part !== '').join(': '),
  );
  return new KindredError('INVALID_ARGUMENT', sentences.join('\n'), {
    violations: faults.map(({ field, description }) => ({ field, description })),
    resource: { type: 'file', name: file },
  });
}

/** `data` with the value at `key` replaced; mappings on the way are copied, for an alias may stand for them elsewhere. */
function withOverride(data: unknown, key: string, value: string, refuse: (description: string) => KindredError) {
  const path = key.split('.');
  if (path.some((part) => part === '')) throw refuse('allowed: keys joined by dots, e.g. optimizer_kwargs.lr');
  const reading = readYaml(value);
  if (reading.fault !== null) throw refuse(`got '${shortened(value)}', which is not YAML: ${reading.fault}`);
  const replaced = (here: unknown, depth: number): unknown => {
    const part = path[depth];
    if (part === undefined) return reading.value;
    if (here !== undefined && !isMapping(here)) {
      const parent = depth === 0 ? 'the file' : `'${path.slice(0, depth).join('.')}'`;
      throw refuse(`${parent} is ${show(here)}, which has no keys; allowed: a key of a mapping`);
    }
    const inner = here !== undefined && Object.hasOwn(here, part) ? here[part] : undefined;
    return { ...here, [part]: replaced(inner, depth + 1) };
  };
  return replaced(data, 0);
}

function describe(issue: z.core.$ZodIssue, schema: z.ZodType, data: unknown): string {
  if (issue.code === 'unrecognized_keys') return unknownKey(schema, issue.path);
  if (issue.code !== 'invalid_type') return issue.message;
  const got = valueAt(data, issue.path);
  const allowed = `allowed: a mapping with the keys ${knownKeys(schema, issue.path).join(', ')}`;
  return got === undefined ? `missing; ${allowed}` : `got ${show(got)}; ${allowed}`;
}

function unknownKey(schema: z.ZodType, path: readonly PropertyKey[]): string {
  const known = knownKeys(schema, path);
  return known.length === 0 ? 'unknown key' : `unknown key; allowed here: ${known.join(', ')}`;
}

/** The keys that `schema` knows at `path`, found by walking through its wrappers. */
function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let here: unknown = schema;
  for (const key of [...path, null]) {
    while (typeof here === 'object' && here !== null && !('shape' in here)) {
      const definition = (here as { def?: { innerType?: unknown; in?: unknown } }).def;
      const inner = definition?.innerType ?? definition?.in;
      if (inner === undefined) return [];
      here = inner;
    }
    const shape = (here as { shape: Record<string, unknown> }).shape;
    if (key === null) return Object.keys(shape);
    here = shape[String(key)];
  }
  return [];
}

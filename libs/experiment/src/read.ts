// From YAML text to a checked experiment: overrides applied, defaults filled in, every fault named by file, line and key.
import { KindredError, type FieldViolation } from '@kindred/errors';
import { LineCounter, isNode, parse, parseDocument, type Document } from 'yaml';
import type { z } from 'zod';
import { environmentSchema, experimentSchema, type Environment, type Experiment } from './schema.js';

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
 * @throws KindredError INVALID_ARGUMENT with one violation a fault; its text names file, line, key and what is allowed.
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
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const fault = document.errors[0];
  if (fault !== undefined) {
    const { line } = lines.linePos(fault.pos[0]);
    throw new KindredError('INVALID_ARGUMENT', `${file}:${line}: not YAML: ${fault.message}`, {
      resource: { type: 'file', name: file },
      cause: fault,
    });
  }
  const overridden = new Set<string>();
  for (const [key, value] of Object.entries(overrides)) {
    overridden.add(key);
    setOverride(document, key, value);
  }
  const result = schema.safeParse(document.toJS() ?? {});
  if (result.success) return result.data;

  const place = (path: readonly PropertyKey[]): string => {
    if (overridden.has(path.join('.'))) return 'override';
    const node = document.getIn(path.map(String), true);
    if (!isNode(node) || node.range === undefined || node.range === null) return file;
    return `${file}:${lines.linePos(node.range[0]).line}`;
  };
  const violations: FieldViolation[] = [];
  const sentences: string[] = [];
  for (const issue of result.error.issues) {
    const paths = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
    for (const path of paths) {
      const field = path.join('.');
      const description = issue.code === 'unrecognized_keys' ? unknownKey(schema, issue.path) : issue.message;
      violations.push({ field, description });
      sentences.push(`${place(path)}: ${field === '' ? 'the file' : field}: ${description}`);
    }
  }
  throw new KindredError('INVALID_ARGUMENT', sentences.join('\n'), {
    violations,
    resource: { type: 'file', name: file },
  });
}

function setOverride(document: Document.Parsed, key: string, value: string): void {
  const path = key.split('.');
  if (path.some((part) => part === '')) {
    throw new KindredError(
      'INVALID_ARGUMENT',
      `override '${key}': allowed: keys joined by dots, e.g. optimizer_kwargs.lr`,
    );
  }
  const parent = path.slice(0, -1);
  if (parent.length > 0 && !document.hasIn(parent)) document.setIn(parent, document.createNode({}));
  document.setIn(path, document.createNode(parse(value)));
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

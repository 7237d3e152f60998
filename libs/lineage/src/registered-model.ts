// A model in the registry as plain data: its versions and aliases, and how each change makes the next state of it.
import { KindredError, notFound } from '@kindred/errors';
import { z } from 'zod';
import { latestAlias } from './model-reference.js';

const versionSchema = z.object({
  version: z.number().int().min(1),
  key: z.string().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  size: z.number().int().min(0),
  createTime: z.iso.datetime(),
  source: z.object({ kind: z.enum(['run', 'import']), id: z.string() }),
  description: z.string(),
});

/** The form of `registry/<name>.json`. */
export const registeredModelSchema = z.object({
  schemaVersion: z.literal(1),
  name: z.string(),
  /** Grows with each change, so that no two states of a model have the same bytes. */
  revision: z.number().int().min(1),
  /** The number that the next version gets; numbers are never used again. */
  nextVersion: z.number().int().min(1),
  versions: z.array(versionSchema),
  aliases: z.record(z.string(), z.number().int().min(1)),
});

/** One version of a model; never changes. */
export type ModelVersion = Readonly<z.output<typeof versionSchema>>;

/** A model with all its versions, by number, and its aliases (alias → version). */
export interface RegisteredModel {
  readonly schemaVersion: 1;
  readonly name: string;
  readonly revision: number;
  readonly nextVersion: number;
  readonly versions: readonly ModelVersion[];
  readonly aliases: Readonly<Record<string, number>>;
}

/** What a new version is made of. */
export type NewModelVersion = Omit<ModelVersion, 'version' | 'createTime'>;

/** A model without versions. */
export function emptyModel(name: string): RegisteredModel {
  return { schemaVersion: 1, name, revision: 0, nextVersion: 1, versions: [], aliases: {} };
}

/** The version of the same file, or undefined. */
export function versionOfFile(model: RegisteredModel, { key, sha256 }: NewModelVersion): ModelVersion | undefined {
  return model.versions.find((version) => version.key === key && version.sha256 === sha256);
}

/** Adds a version and moves `latest` to it. */
export function withVersion(model: RegisteredModel, added: NewModelVersion, createTime: string): RegisteredModel {
  const version = model.nextVersion;
  return {
    ...model,
    nextVersion: version + 1,
    versions: [...model.versions, { ...added, version, createTime }],
    aliases: { ...model.aliases, [latestAlias]: version },
  };
}

/** Points an alias at a version. NOT_FOUND when there is no such version. */
export function withAlias(model: RegisteredModel, alias: string, version: number): RegisteredModel {
  return { ...model, aliases: { ...model.aliases, [alias]: versionNumbered(model, version).version } };
}

/** Removes an alias. NOT_FOUND when there is none. */
export function withoutAlias(model: RegisteredModel, alias: string): RegisteredModel {
  if (model.aliases[alias] === undefined) throw aliasNotFound(model, alias);
  return { ...model, aliases: Object.fromEntries(Object.entries(model.aliases).filter(([name]) => name !== alias)) };
}

/** Removes a version. FAILED_PRECONDITION while an alias other than `latest` points at it; NOT_FOUND when there is none. */
export function withoutVersion(model: RegisteredModel, version: number): RegisteredModel {
  const removed = versionNumbered(model, version);
  const pointing = Object.keys(model.aliases).filter((name) => name !== latestAlias && model.aliases[name] === version);
  if (pointing.length > 0) {
    throw new KindredError(
      'FAILED_PRECONDITION',
      `version ${version} of model '${model.name}' is ${pointing.join(', ')}; move or delete that alias first`,
      { resource: { type: 'model', name: `${model.name}@${version}` } },
    );
  }
  const versions = model.versions.filter((one) => one !== removed);
  const { [latestAlias]: _, ...others } = model.aliases;
  const newest = versions.at(-1);
  return { ...model, versions, aliases: newest === undefined ? {} : { ...others, [latestAlias]: newest.version } };
}

/** The version of a number or an alias. NOT_FOUND, with what there is, otherwise. */
export function versionNamed(model: RegisteredModel, version: number | string): ModelVersion {
  if (typeof version === 'number') return versionNumbered(model, version);
  const number = model.aliases[version];
  if (number === undefined) throw aliasNotFound(model, version);
  return versionNumbered(model, number);
}

function versionNumbered(model: RegisteredModel, number: number): ModelVersion {
  const found = model.versions.find(({ version }) => version === number);
  if (found !== undefined) return found;
  const known = model.versions.map(({ version }) => String(version));
  throw notFound('model', `${model.name}@${number}`, known);
}

function aliasNotFound({ name, aliases }: RegisteredModel, alias: string): KindredError {
  return notFound('model', `${name}@${alias}`, Object.keys(aliases).sort());
}

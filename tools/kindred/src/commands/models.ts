// `kindred models`: the registry of models in the artifact store.
import type { Command } from 'commander';
import type { ArtifactStore } from '@kindred/artifact-store';
import { invalidField } from '@kindred/errors';
import { createModelRegistry, latestAlias, parseModelReference, type RegisteredModel } from '@kindred/lineage';
import { table } from '../output.js';
import { formatBytes } from '../quantities.js';
import { newVersionOf } from '../new-model-version.js';
import { parseWhole } from '../settings.js';
import { runWithStore } from '../stored.js';

interface RegisterOptions {
  readonly description: string;
}

interface AliasOptions {
  readonly expect?: string;
  readonly delete?: boolean;
}

const maxVersion = 999_999_999;

/** Adds the commands. */
export function addModels(program: Command): void {
  const models = program.command('models').description('models by name: versions 1, 2, 3…, and aliases that move');
  models
    .command('list', { isDefault: true })
    .description('list all models')
    .action((_: unknown, command: Command) =>
      runWithStore(command, async (store, { output }) => {
        const { models: all, damaged } = await createModelRegistry(store).list();
        const rows = all.map(({ name, versions, aliases }) => [
          name,
          String(aliases[latestAlias] ?? ''),
          String(versions.length),
          aliasText(aliases),
        ]);
        if (rows.length === 0 && damaged.length === 0) output.text('no model is registered yet');
        if (rows.length > 0)
          for (const line of table([['MODEL', 'LATEST', 'VERSIONS', 'ALIASES'], ...rows], [1, 2])) output.text(line);
        for (const { key, problem } of damaged) output.warn(problem.includes(key) ? problem : `${key}: ${problem}`);
        output.result({ models: all, damaged });
      }),
    );
  models
    .command('show <model>')
    .description('show the versions of a model (NAME), or which file a reference stands for (NAME@VERSION, NAME@ALIAS)')
    .action((reference: string, _: unknown, command: Command) =>
      runWithStore(command, async (store, { output }) => {
        const { name, explicit } = parseModelReference(reference, 'MODEL');
        const registry = createModelRegistry(store);
        if (explicit) {
          const resolved = await registry.resolve(reference);
          output.text(`${resolved.name}@${resolved.version}: ${resolved.key}, SHA-256 ${resolved.sha256}`);
          return output.result({ ...resolved });
        }
        const model = await registry.get(name);
        for (const line of versionTable(model)) output.text(line);
        output.result({ ...model });
      }),
    );
  models
    .command('register <name> <source>')
    .description('add a version: the model of a run (its id), or a model file in the store (its key)')
    .option('--description <text>', 'words for people', '')
    .action((name: string, source: string, _: unknown, command: Command) =>
      runWithStore(command, async (store, { output }) => {
        const { description } = command.opts<RegisterOptions>();
        const file = await newVersionOf(store, source, description);
        const version = await createModelRegistry(store).register(name, file);
        output.text(`${name}@${version.version} is ${version.key}`);
        output.result({ name, ...version });
      }),
    );
  models
    .command('alias <name> <alias> [version]')
    .description('point an alias at a version, in one step: readers see the old or the new')
    .option('--expect <version>', 'only where the alias stands there now; 0: only where there is none')
    .option('--delete', 'remove the alias')
    .action((name: string, alias: string, version: string | undefined, _: unknown, command: Command) =>
      runWithStore(command, async (store, { output }) => {
        const model = await moveAlias(store, name, alias, version, command.opts<AliasOptions>());
        output.text(`${name}: ${aliasText(model.aliases)}`);
        output.result({ ...model });
      }),
    );
  models
    .command('delete <model>')
    .description('forget a model (NAME) or one version (NAME@VERSION); files go with kindred artifacts gc')
    .action((reference: string, _: unknown, command: Command) =>
      runWithStore(command, async (store, { output }) => {
        const { name, version, explicit } = parseModelReference(reference, 'MODEL');
        const registry = createModelRegistry(store);
        if (!explicit) await registry.delete(name);
        else if (typeof version === 'number') await registry.deleteVersion(name, version);
        else throw invalidField('MODEL', `got '${reference}'; allowed: NAME, or NAME@VERSION with a number`);
        output.text(`${reference} is no longer registered`);
        output.result({ deleted: reference });
      }),
    );
}

function moveAlias(
  store: ArtifactStore,
  name: string,
  alias: string,
  version: string | undefined,
  options: AliasOptions,
): Promise<RegisteredModel> {
  const registry = createModelRegistry(store);
  if (options.delete === true) return registry.deleteAlias(name, alias);
  if (version === undefined) throw invalidField('VERSION', 'got none; needed: a version, or --delete');
  const number = parseWhole('VERSION', version, 1, maxVersion);
  const expected = options.expect === undefined ? undefined : parseWhole('--expect', options.expect, 0, maxVersion);
  return registry.setAlias(name, alias, number, expected === 0 ? null : expected);
}

function versionTable({ versions, aliases }: RegisteredModel): string[] {
  const rows = versions.map(({ version, createTime, source, size, sha256, description }) => [
    String(version),
    Object.keys(aliases)
      .filter((alias) => aliases[alias] === version)
      .sort()
      .join(' '),
    `${source.kind} ${source.id}`,
    formatBytes(size),
    createTime.slice(0, 16).replace('T', ' '),
    `${sha256.slice(0, 16)}…`,
    description,
  ]);
  return table([['VERSION', 'ALIASES', 'SOURCE', 'SIZE', 'CREATED', 'SHA-256', ''], ...rows], [0, 3]);
}

function aliasText(aliases: RegisteredModel['aliases']): string {
  return Object.entries(aliases)
    .map(([alias, version]) => `${alias}=${version}`)
    .sort()
    .join(' ');
}

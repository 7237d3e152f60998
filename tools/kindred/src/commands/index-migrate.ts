// `kindred index migrate`: copies a collection to another engine or name, and moves an alias to the copy.
import type { Command } from 'commander';
import { invalidField, isKindredError } from '@kindred/errors';
import { Engine, type Collection, type CollectionConfig } from '@kindred/protocol/neighbors';
import { runCommand, type GlobalOptions } from '../command-context.js';
import { migrateCollection } from '../collection-migration.js';
import { formatCount, formatDuration } from '../quantities.js';
import { openSession, type Session } from '../session.js';

interface MigrateOptions extends GlobalOptions {
  readonly to: string;
  readonly name?: string;
  readonly index?: string;
  readonly alias?: string;
}

const engines = { embedded: Engine.EMBEDDED, weaviate: Engine.WEAVIATE } as const;

/** Adds the command. */
export function addIndex(program: Command): void {
  program
    .command('index')
    .description('collections of the neighbour index: copy one to another engine')
    .command('migrate <collection>')
    .description(
      'copy a collection to another engine, or to another name; repeat it after a stop, it goes on where it was',
    )
    .requiredOption(
      '--to <engine or name>',
      'embedded, weaviate, or the name of a collection (made like this one if absent)',
    )
    .option('--name <name>', 'name of the copy (default: COLLECTION-ENGINE)')
    .option('--index <kind>', "flat or hnsw (default: as the collection's)")
    .option('--alias <alias>', 'once the copy is whole, let this alias stand for it')
    .addHelpText(
      'after',
      `
Stop writing to the collection first: what changes meanwhile may be missing in the copy. The collection itself is not changed.`,
    )
    .action((collection: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<MigrateOptions>();
      return runCommand(options, async (context) => {
        const session = await openSession({ ...context, start: ['neighbor-index'] });
        try {
          await migrate(session, collection, options, context.folder.migrations);
        } finally {
          await session.close();
        }
      });
    });
}

async function migrate(session: Session, named: string, options: MigrateOptions, folder: string): Promise<void> {
  const { neighbors, output, signal } = session;
  const source = await session.persist(() => describe(session, named));
  const target = await session.persist(() => prepareTarget(session, source, options));
  if (target.collection === source.collection) {
    throw invalidField('--to', `got '${options.to}', which is the collection itself; allowed: another engine or name`);
  }
  output.text(`copying ${formatCount(Number(source.size))} points of ${source.collection} to ${target.collection}`);
  const bar = output.bar(`copying ${source.collection}`, Math.max(1, Number(source.size)));
  const began = Date.now();
  const result = await migrateCollection({
    neighbors,
    source,
    target,
    folder,
    signal,
    persist: session.persist,
    onProgress(copied, resumed) {
      const rate = (copied - resumed) / ((Date.now() - began) / 1000);
      const left = formatDuration((Number(source.size) - copied) / Math.max(rate, 1));
      bar.update(copied, `${rate.toFixed(0)} points/s  ${left} left`);
      output.event('migration', { collection: source.collection, copied, total: source.size });
    },
  }).finally(() => bar.stop());
  if (result.resumed > 0) output.text(`went on after ${formatCount(result.resumed)} points`);
  if (result.repaired > 0) output.text(`${formatCount(result.repaired)} points differed and were set right`);
  output.text(
    `${formatCount(Number(result.size))} points in both, copied in ${formatDuration((Date.now() - began) / 1000)}`,
  );
  if (options.alias !== undefined) {
    const changes = [{ alias: options.alias, collection: target.collection }];
    await session.persist(() => neighbors.updateAliases({ changes }, { signal }));
    output.text(`alias ${options.alias} stands for ${target.collection} now`);
  }
  output.result({ source: source.collection, target: target.collection, ...result, alias: options.alias ?? null });
}

async function describe({ neighbors, signal }: Session, name: string): Promise<Collection> {
  const { collection } = await neighbors.getCollection({ collection: name }, { signal });
  if (collection?.config !== undefined) return collection;
  throw invalidField('COLLECTION', `'${name}' is ${collection?.problem ?? 'unknown'}; allowed: one that answers`);
}

/** The collection to fill: one that is there already, or a new one. */
async function prepareTarget(
  session: Session,
  source: Collection,
  { to, name, index }: MigrateOptions,
): Promise<Collection> {
  const { neighbors, signal } = session;
  const engine = Object.hasOwn(engines, to) ? engines[to as keyof typeof engines] : null;
  const target = name ?? (engine === null ? to : `${source.collection}-${to}`);
  const there = await describe(session, target).catch((thrown: unknown) => {
    if (isKindredError(thrown, 'NOT_FOUND')) return null;
    throw thrown;
  });
  const config = configOf(source, engine ?? there?.config?.engine ?? source.config!.engine, index);
  if (there === null) {
    await neighbors.createCollection({ collection: target, config }, { signal });
    return describe(session, target);
  }
  const same = (['dimension', 'metric', 'engine'] as const).every((field) => there.config?.[field] === config[field]);
  if (same) return there;
  throw invalidField(
    '--to',
    `'${target}' exists with another dimension, metric or engine; allowed: the same, or another name (--name)`,
  );
}

function configOf({ config }: Collection, engine: Engine, index: string | undefined): CollectionConfig {
  const { dimension, metric, description } = config!;
  const chosen = indexOf(config!, index);
  if (engine === Engine.WEAVIATE && chosen?.$case !== 'flat' && chosen?.$case !== 'hnsw') {
    throw invalidField('--index', `the collection's index is ${chosen?.$case}; allowed with weaviate: flat, hnsw`);
  }
  const durability = engine === config!.engine ? config!.durability : 0;
  const weaviate = engine === config!.engine ? config!.weaviate : undefined;
  return { dimension, metric, description, index: chosen, engine, durability, weaviate };
}

function indexOf({ index }: CollectionConfig, kind: string | undefined): CollectionConfig['index'] {
  if (kind === undefined) return index;
  if (kind === 'flat') return { $case: 'flat', value: {} };
  if (kind === 'hnsw') {
    return index?.$case === 'hnsw' ? index : { $case: 'hnsw', value: { m: 0, efConstruction: 0, efSearch: 0 } };
  }
  throw invalidField('--index', `got '${kind}'; allowed: flat, hnsw`);
}

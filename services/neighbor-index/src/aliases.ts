// Aliases: second names of collections, all in one file that is replaced as a whole, so that they move together.
import { KindredError, invalidField, notFound } from '@kindred/errors';
import { z } from 'zod';
import { readWhole, replaceWhole, type Disk } from './storage/disk.js';
import { openText, sealText } from './storage/sealed-text.js';
import { contractLimits } from './limits.js';

/** The aliases of a service. */
export interface Aliases {
  /** Reads the file. DATA_LOSS, naming it, when it is damaged. */
  load(): Promise<void>;
  /** What a name stands for; itself where it is no alias. */
  resolve(name: string): string;
  /** By name. */
  list(): { readonly alias: string; readonly collection: string }[];
  /**
   * Makes all changes or, on an error, none: RESOURCE_EXHAUSTED beyond 10,000 aliases. An empty collection deletes. `exists`: whether there is a collection of that name.
   */
  update(
    changes: readonly { readonly alias: string; readonly collection: string }[],
    exists: (name: string) => boolean,
  ): Promise<void>;
  /** Deletes the aliases of a collection. */
  removeTargets(collection: string): Promise<void>;
}

const path = 'aliases.json';
const fileSchema = z.record(z.string(), z.string());

/** Makes the set; call {@link Aliases.load} next. */
export function createAliases(disk: Disk): Aliases {
  let aliases: ReadonlyMap<string, string> = new Map();
  let turn: Promise<unknown> = Promise.resolve();
  const change = (make: (next: Map<string, string>) => void): Promise<void> => {
    const running = turn.then(async () => {
      const next = new Map(aliases);
      make(next);
      if (sameMap(next, aliases)) return;
      if (next.size > contractLimits.aliases && next.size > aliases.size) {
        throw new KindredError(
          'RESOURCE_EXHAUSTED',
          `got ${next.size} aliases in all; allowed: ${contractLimits.aliases}; delete some first`,
        );
      }
      await replaceWhole(disk, path, [await sealText(`${JSON.stringify(Object.fromEntries(next))}\n`)]);
      aliases = next;
    });
    turn = running.catch(() => {});
    return running;
  };
  return {
    async load() {
      const bytes = await readWhole(disk, path).catch((thrown: unknown) => {
        if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw thrown;
      });
      if (bytes === null) return;
      const text = await openText(bytes);
      if (text === null) throw damagedAliases();
      aliases = new Map(Object.entries(fileSchema.parse(JSON.parse(text))));
    },
    resolve: (name) => aliases.get(name) ?? name,
    list: () =>
      [...aliases].map(([alias, collection]) => ({ alias, collection })).sort((a, b) => (a.alias < b.alias ? -1 : 1)),
    update(changes, exists) {
      if (changes.length < 1 || changes.length > contractLimits.aliasChanges) {
        throw invalidField('changes', `got ${changes.length}; allowed: 1 to ${contractLimits.aliasChanges}`);
      }
      const seen = new Set<string>();
      for (const [i, { alias, collection }] of changes.entries()) {
        const field = `changes[${i}].alias`;
        if (!/^[a-z0-9-]{1,63}$/.test(alias)) {
          throw invalidField(
            field,
            `got '${alias.slice(0, 80)}'; allowed: 1 to 63 lower-case letters, digits and dashes`,
          );
        }
        if (seen.has(alias)) throw invalidField(field, `got '${alias}' twice; allowed: each alias once`);
        seen.add(alias);
        if (exists(alias)) throw invalidField(field, `got '${alias}', which is a collection; allowed: another name`);
        if (collection !== '' && !exists(collection)) throw notFound('collection', collection);
      }
      return change((next) => {
        for (const { alias, collection } of changes) {
          if (collection === '') next.delete(alias);
          else next.set(alias, collection);
        }
      });
    },
    removeTargets: (collection) =>
      change((next) => {
        for (const [alias, target] of next) if (target === collection) next.delete(alias);
      }),
  };
}

function damagedAliases(): KindredError {
  return new KindredError(
    'DATA_LOSS',
    `${path} is damaged: its checksum does not hold; remove it, start again and make the aliases anew`,
    { resource: { type: 'file', name: path } },
  );
}

function sameMap(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}

// `kindred artifacts gc`: shows what nothing refers to, and deletes it where asked.
import type { Command } from 'commander';
import { applyRetention, type ArtifactStore, type RetentionRule } from '@kindred/artifact-store';
import { invalidField } from '@kindred/errors';
import { collectGarbage } from '@kindred/lineage';
import { table } from '../output.js';
import { formatBytes, formatCount } from '../quantities.js';
import { parseWhole } from '../settings.js';
import { runWithStore } from '../stored.js';

interface GarbageOptions {
  readonly delete?: boolean;
  readonly graceHours: string;
  readonly rule: readonly string[];
}

const hourMs = 3_600_000;
/** Of an upload to a server nobody can tell whether its writer lives: none takes so long. */
const leastUploadMs = 24 * hourMs;

/** Adds the command. */
export function addArtifactsGc(artifacts: Command): void {
  artifacts
    .command('gc')
    .description('show what nothing refers to any more, and what never ended; nothing is deleted without --delete')
    .option('--delete', 'delete it')
    .option('--grace-hours <n>', 'leave what is younger: it may be in the making', '24')
    .option(
      '--rule <prefix:limits>',
      'let objects of others go, too, e.g. backups/:newest=5,days=30 (beyond both); may be given again',
      (rule: string, before: readonly string[]) => [...before, rule],
      [],
    )
    .addHelpText(
      'after',
      `
Kept in any case: all that belongs to a run that is there, whatever its state, and what a registered model, an index, a named
data set or a manifest of those refers to. Objects at keys that Kindred does not write are counted, and go only by a --rule.
Uploads that never ended go after the grace hours, a day at least.`,
    )
    .action((options: GarbageOptions, command: Command) =>
      runWithStore(command, async (store, { output, interruption }) => {
        const graceMs = parseWhole('--grace-hours', options.graceHours, 0, 87_600) * hourMs;
        const remove = options.delete === true;
        const { signal } = interruption;
        const rules = options.rule.map(parseRetentionRule);
        const found = await collectGarbage(store, { remove, graceMs, signal });
        const { garbage, young, unknown, deleted, deletedBytes } = found;
        // Only what nothing of Kindred can refer to: no rule takes a part of a run or a model away.
        const expired = await applyRetention(onlyOf(store, unknown), rules, { dryRun: !remove });
        const unfinished = await store.removeUnfinished(Math.max(graceMs, leastUploadMs), { dryRun: !remove });
        const rows = [
          ...garbage.map(({ key, size, reason }) => [key, formatBytes(size), reason]),
          ...expired.removed.map(({ key, size }) => [key, formatBytes(size), 'a rule lets it go']),
        ];
        if (rows.length > 0) for (const line of table([['KEY', 'SIZE', 'WHY'], ...rows], [1])) output.text(line);
        const bytes = garbage.reduce((sum, { size }) => sum + size, 0) + expired.removedBytes;
        output.text(
          remove
            ? `${formatCount(deleted + expired.removed.length)} objects deleted, ${formatBytes(deletedBytes + expired.removedBytes)}`
            : `${formatCount(rows.length)} objects, ${formatBytes(bytes)}, may go; --delete deletes them`,
        );
        if (unfinished > 0)
          output.text(
            `${formatCount(unfinished)} uploads that never ended ${remove ? 'were removed' : 'go with them'}`,
          );
        if (young > 0) output.text(`${formatCount(young)} more are younger than ${options.graceHours} hours`);
        const left = unknown.length - expired.removed.length;
        if (left > 0) output.text(`${formatCount(left)} are not known to Kindred, and are left alone`);
        const keys = unknown.map(({ key }) => key);
        const { removed } = expired;
        output.result({ garbage, young, unknown: keys, deleted, deletedBytes, expired: removed, unfinished });
      }),
    );
}

/** Reads `PREFIX:newest=N,days=D`, one of the two at least. @throws KindredError INVALID_ARGUMENT naming the option. */
export function parseRetentionRule(text: string): RetentionRule {
  const wrong = invalidField('--rule', `got '${text}'; allowed: PREFIX:newest=N,days=D, one of the two at least`);
  const [prefix = '', limits = '', ...more] = text.split(':');
  const named = Object.fromEntries(limits.split(',').map((limit) => limit.split('='))) as Record<string, string>;
  const { newest, days, ...others } = named;
  // An empty prefix would be about everything, which nobody types by intent.
  if (prefix === '' || more.length > 0 || Object.keys(others).length > 0) throw wrong;
  if (newest === undefined && days === undefined) throw wrong;
  return {
    prefix,
    ...(newest === undefined ? {} : { keepNewest: parseWhole('--rule: newest', newest, 0, 1_000_000) }),
    ...(days === undefined ? {} : { maxAgeMs: parseWhole('--rule: days', days, 0, 36_500) * 24 * hourMs }),
  };
}

/** The store as if it held these objects alone. */
function onlyOf(
  store: ArtifactStore,
  objects: readonly { readonly key: string }[],
): Pick<ArtifactStore, 'list' | 'delete'> {
  const keys = new Set(objects.map(({ key }) => key));
  return {
    async *list(prefix) {
      for await (const object of store.list(prefix)) if (keys.has(object.key)) yield object;
    },
    delete: (key, conditions) => store.delete(key, conditions),
  };
}

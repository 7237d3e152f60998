// `kindred artifacts gc`: shows what nothing refers to, and deletes it where asked.
import type { Command } from 'commander';
import { collectGarbage } from '@kindred/lineage';
import { table } from '../output.js';
import { formatBytes, formatCount } from '../quantities.js';
import { parseWhole } from '../settings.js';
import { runWithStore } from '../stored.js';

interface GarbageOptions {
  readonly delete?: boolean;
  readonly graceHours: string;
}

const hourMs = 3_600_000;

/** Adds the command. */
export function addArtifactsGc(artifacts: Command): void {
  artifacts
    .command('gc')
    .description('show what nothing refers to any more; nothing is deleted without --delete')
    .option('--delete', 'delete it')
    .option('--grace-hours <n>', 'leave what is younger: it may be in the making', '24')
    .addHelpText(
      'after',
      `
Kept in any case: all that belongs to a run that is there, whatever its state, and what a registered model, an index, a named
data set or a manifest of those refers to. Objects at keys that Kindred does not write are counted, never deleted.`,
    )
    .action((options: GarbageOptions, command: Command) =>
      runWithStore(command, async (store, { output, interruption }) => {
        const graceMs = parseWhole('--grace-hours', options.graceHours, 0, 87_600) * hourMs;
        const remove = options.delete === true;
        const { signal } = interruption;
        const { garbage, young, unknown, deleted, deletedBytes } = await collectGarbage(store, {
          remove,
          graceMs,
          signal,
        });
        const rows = garbage.map(({ key, size, reason }) => [key, formatBytes(size), reason]);
        if (rows.length > 0) for (const line of table([['KEY', 'SIZE', 'WHY'], ...rows], [1])) output.text(line);
        const bytes = garbage.reduce((sum, { size }) => sum + size, 0);
        output.text(
          remove
            ? `${formatCount(deleted)} objects deleted, ${formatBytes(deletedBytes)}`
            : `${formatCount(garbage.length)} objects, ${formatBytes(bytes)}, belong to nothing; --delete deletes them`,
        );
        if (young > 0) output.text(`${formatCount(young)} more are younger than ${options.graceHours} hours`);
        if (unknown.length > 0)
          output.text(`${formatCount(unknown.length)} are not known to Kindred, and are left alone`);
        const keys = unknown.map(({ key }) => key);
        output.result({ garbage, young, unknown: keys, deleted, deletedBytes });
      }),
    );
}

// `kindred artifacts verify`: reads everything anew and names what is damaged.
import type { Command } from 'commander';
import { verifyStore } from '@kindred/lineage';
import { exitCodes } from '../exit-codes.js';
import { table } from '../output.js';
import { formatBytes, formatCount } from '../quantities.js';
import { runWithStore } from '../stored.js';

/** Adds the command. */
export function addArtifactsVerify(artifacts: Command): void {
  artifacts
    .command('verify')
    .description('read and hash everything that something refers to; exit code 4 when anything is damaged or missing')
    .action((_: unknown, command: Command) =>
      runWithStore(command, async (store, { output, interruption }) => {
        const bar = output.bar('verifying', 1_000);
        const { faults, objects, bytes, withoutHash } = await verifyStore(store, {
          signal: interruption.signal,
          onProgress: (done, total) => bar.update((1_000 * done) / total, `${done} of ${total}`),
        });
        bar.stop();
        const rows = faults.map(({ kind, key, problem, by }) => [kind, key, by.join(', '), problem]);
        if (rows.length > 0) for (const line of table([['FAULT', 'KEY', 'OF', ''], ...rows])) output.warn(line);
        const unsure = withoutHash === 0 ? '' : `, ${formatCount(withoutHash)} of them without a hash to compare with`;
        output.text(`${formatCount(objects)} objects, ${formatBytes(bytes)} read${unsure}: ${verdict(faults.length)}`);
        output.result({ faults, objects, bytes, withoutHash });
        return faults.length === 0 ? exitCodes.ok : exitCodes.damaged;
      }),
    );
}

function verdict(faults: number): string {
  if (faults === 0) return 'all whole';
  return faults === 1 ? '1 is damaged or missing' : `${faults} are damaged or missing`;
}

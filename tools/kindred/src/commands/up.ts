// `kindred up`: the four services on this machine, until Ctrl-C.
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { runCommand, type GlobalOptions } from '../command-context.js';
import { exitCodes } from '../exit-codes.js';
import { table } from '../output.js';
import { serviceReporter } from '../service-reporter.js';
import { parseWhole } from '../settings.js';
import { portsFrom, startServices } from '../supervisor.js';

interface UpOptions extends GlobalOptions {
  readonly portBase?: string;
  readonly allowRoot: string[];
}

/** Adds the command. */
export function addUp(program: Command): void {
  program
    .command('up')
    .description('start the four services here, all their data in one folder, until Ctrl-C')
    .option(
      '--port-base <n>',
      'gRPC on n to n+3, metrics on n+10 to n+13; 0: any free ports (default: 50051 to 50054, 9051 to 9054)',
    )
    .option('--allow-root <dir...>', 'folders that data sets may be read from, beside DATA/datasets', [])
    .action((_: unknown, command: Command) => {
      const options = command.optsWithGlobals<UpOptions>();
      return runCommand(options, async ({ output, interruption, folder }) => {
        const base = options.portBase === undefined ? null : parseWhole('--port-base', options.portBase, 0, 65_500);
        const supervisor = await startServices({
          folder,
          ports: portsFrom(base),
          dataRoots: options.allowRoot.map((root) => resolve(root)),
          command: 'kindred up',
          onChange: serviceReporter(output),
          say: (words) => output.text(words),
        });
        interruption.onSecond(() => supervisor.kill());
        const records = Object.entries(supervisor.records());
        const rows = records.map(([name, { address, metricsAddress }]) => [
          name,
          address,
          `http://${metricsAddress}/metrics`,
        ]);
        for (const line of table(rows)) output.text(line);
        output.text(`artifacts in ${supervisor.store}`);
        output.text(`data and logs in ${folder.path}; Ctrl-C drains all`);
        output.event('ready', {
          pid: process.pid,
          data: folder.path,
          store: supervisor.store,
          services: Object.fromEntries(records),
        });
        await aborted(interruption.signal);
        output.text('draining; Ctrl-C again ends at once');
        await supervisor.stop();
        output.text('all services have ended');
        return exitCodes.ok;
      });
    });
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  // An abort listener alone does not keep the process alive; the services' IPC channels do.
  return new Promise((done) => signal.addEventListener('abort', () => done(), { once: true }));
}

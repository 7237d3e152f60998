// `bench [SUITE…]`: runs suites of comparisons with peers and prints what they measured.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isKindredError } from '@kindred/errors';
import { Command, InvalidArgumentError, Option } from 'commander';
import { describeMachine } from './machine.js';
import { peersFolder, pythonOfPeers } from './peers.js';
import { machineLine, table, type Report, type Row } from './report.js';
import { allSuites, chooseSuites, gpuSuites, groups } from './suites/choice.js';

interface Flags {
  readonly json?: string;
  readonly rounds: number;
  readonly dataDir?: string;
  readonly images: number;
  readonly threads: number;
}

/** Parses a whole number of at least `least`. */
function whole(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`allowed: a whole number from ${least} up.`);
  };
}

async function bench(names: readonly string[], { json, rounds, dataDir, images, threads }: Flags): Promise<void> {
  const wanted = chooseSuites(names);
  // Progress goes to standard error: standard output holds the table alone.
  const say = (line: string): void => console.error(line);
  const peers = peersFolder(dirname(fileURLToPath(import.meta.url)));
  const python = await pythonOfPeers(peers, say);
  const folder = await mkdtemp(join(tmpdir(), 'kindred-bench-'));
  const rows: Row[] = [];
  const versions: Record<string, string> = {};
  try {
    for (const suite of wanted) {
      say(`suite ${suite.name}: ${suite.description}`);
      const result = await suite.run({
        rounds,
        python,
        peers,
        folder: join(folder, suite.name),
        dataSource: dataDir === undefined ? null : resolve(dataDir),
        threads,
        images,
        say,
      });
      rows.push(...result.rows);
      Object.assign(versions, result.versions);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const asked = names.length > 0 ? names : wanted.map(({ name }) => name);
  const report: Report = { suite: asked.join(','), machine: describeMachine(versions), rows };
  console.log(`${machineLine(report.machine)}\n\n${table(rows)}`);
  if (json !== undefined) await writeFile(json, `${JSON.stringify(report, null, 2)}\n`);
}

const program = new Command('bench')
  .description(
    'Compares this code with its peers in alternating rounds. Without a name: all suites but those for GPUs.',
  )
  .argument(
    '[suites...]',
    [...groups, ...allSuites, ...gpuSuites].map(({ name, description }) => `${name}: ${description}`).join('; '),
  )
  .option('--json <file>', 'write machine and rows as JSON')
  .addOption(new Option('--rounds <number>', 'rounds of each side').default(5).argParser(whole(1)))
  .addOption(
    new Option('--data-dir <folder>', "folder with CIFAR-10's binary files; without it images are drawn").env(
      'KINDRED_BENCH_CIFAR',
    ),
  )
  .addOption(new Option('--images <number>', 'training images of an epoch').default(2560).argParser(whole(256)))
  .addOption(
    new Option('--threads <number>', 'threads of either side').default(availableParallelism()).argParser(whole(1)),
  )
  .action(bench);

await program.parseAsync().catch((thrown: unknown) => {
  console.error(isKindredError(thrown) ? `error: ${thrown.message}` : thrown);
  process.exitCode = isKindredError(thrown, 'NOT_FOUND') ? 2 : 1;
});

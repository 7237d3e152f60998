// `kindred dataset`: which data sets there are, what is in one, and how to get one.
import type { Command } from 'commander';
import { datasetDescriptions, datasetNames, isDatasetName } from '@kindred/datasets';
import { invalidField } from '@kindred/errors';
import { isDatasetArtifact } from '@kindred/lineage';
import { Split } from '@kindred/protocol/augmentation';
import { addDatasetPush } from './dataset-push.js';
import { runCommand, type GlobalOptions } from '../command-context.js';
import { fetchWithProgress } from '../fetch-progress.js';
import { table } from '../output.js';
import { formatCount, formatSize } from '../quantities.js';
import { openSession, type Session } from '../session.js';
import { dataRootOf } from '../settings.js';

interface ShowOptions extends GlobalOptions {
  readonly dataDir?: string;
}

interface FetchOptions extends ShowOptions {
  readonly url?: string;
  readonly sha256?: string;
}

/** Adds the commands. */
export function addDataset(program: Command): void {
  const dataset = program.command('dataset').description('list, show, fetch or push data sets');
  dataset
    .command('list', { isDefault: true })
    .description('list the data sets that can be read, and those found in DATA/datasets')
    .action((_: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      return runCommand(options, (context) =>
        withAugmentation({ ...context, dataRoots: [] }, async ({ augmentation, output, signal }) => {
          const { datasets } = await augmentation.listDatasets({}, { signal });
          const found = new Set(datasets.map(({ name }) => name));
          const rows = datasetDescriptions.map(({ name, title, canFetch }) => [
            name,
            found.has(name) ? 'ready' : canFetch ? 'can be fetched' : 'needs --data-dir',
            title,
          ]);
          const pushed = [...found].filter(isDatasetArtifact).sort();
          rows.push(...pushed.map((name) => [name, 'ready', 'pushed to the artifact store']));
          for (const line of table(rows)) output.text(line);
          const known = datasetDescriptions.map((one) => ({ ...one, ready: found.has(one.name) }));
          output.result({ datasets: [...known, ...pushed.map((name) => ({ name, ready: true }))] });
        }),
      );
    });
  dataset
    .command('show <name>')
    .description('show the splits, sizes and classes of a data set')
    .option('--data-dir <dir>', 'its folder (default: DATA/datasets)')
    .action((name: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<ShowOptions>();
      return runCommand(options, (context) => {
        if (!isDatasetArtifact(name)) checkName(name);
        const root = dataRootOf(options.dataDir);
        return withAugmentation({ ...context, dataRoots: root === '' ? [] : [root] }, (session) =>
          show(session, name, root),
        );
      });
    });
  dataset
    .command('fetch <name>')
    .description('download the official archive, check it and unpack it; goes on where it was cut')
    .option('--data-dir <dir>', 'folder that it is put into (default: DATA/datasets)')
    .option('--url <url>', 'another place of the same archive')
    .option('--sha256 <hex>', "checksum of the archive, instead of the official one's")
    .action((name: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<FetchOptions>();
      return runCommand(options, async ({ output, interruption, folder }) => {
        checkName(name);
        const root = options.dataDir === undefined ? folder.datasets : dataRootOf(options.dataDir);
        const { url, sha256 } = options;
        await fetchWithProgress(name, { root, url, sha256, signal: interruption.signal }, output);
      });
    });
  addDatasetPush(dataset);
}

async function withAugmentation(
  options: Omit<Parameters<typeof openSession>[0], 'start'>,
  work: (session: Session) => Promise<void>,
): Promise<void> {
  const session = await openSession({ ...options, start: ['data-augmentation'] });
  try {
    await work(session);
  } finally {
    await session.close();
  }
}

async function show({ augmentation, output, signal }: Session, name: string, root: string): Promise<void> {
  const splits = name === 'stl-10' ? [Split.TRAIN, Split.VALIDATION, Split.UNLABELED] : [Split.TRAIN, Split.VALIDATION];
  const shown = [];
  for (const split of splits) {
    const { description } = await augmentation.getDataset({ dataset: { name, split, root } }, { signal });
    if (description === undefined) continue;
    const { size, height, width, classNames, contentSha256 } = description;
    shown.push({ split: Split[split]?.toLowerCase(), size, height, width, classNames, contentSha256 });
    output.text(
      `${Split[split]?.toLowerCase()}: ${formatCount(size)} images ${formatSize(height, width)}, SHA-256 ${contentSha256.slice(0, 16)}…`,
    );
  }
  output.text(`classes: ${shown[0]?.classNames.join(', ') ?? ''}`);
  output.result({ name, splits: shown });
}

function checkName(name: string): void {
  if (!isDatasetName(name)) throw invalidField('NAME', `got '${name}'; allowed: ${datasetNames.join(', ')}`);
}

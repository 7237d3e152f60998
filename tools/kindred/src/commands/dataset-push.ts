// `kindred dataset push`: a data set into the artifact store, where services on other machines find it.
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { isDatasetName, pushDataset, type PushDatasetOptions } from '@kindred/datasets';
import { invalidField } from '@kindred/errors';
import { formatBytes, formatCount } from '../quantities.js';
import { dataRootOf, parseWhole } from '../settings.js';
import { runWithStore } from '../stored.js';

interface PushOptions {
  readonly name: string;
  readonly dataDir?: string;
  readonly shardMib: string;
}

/** Adds the command. */
export function addDatasetPush(dataset: Command): void {
  dataset
    .command('push <source>')
    .description(
      'put a data set into the artifact store: a folder or .zip of images by class, or cifar-10, cifar-20, stl-10',
    )
    .requiredOption('--name <name>', 'name that it is used by afterwards, as artifact:NAME')
    .option('--data-dir <dir>', 'folder of cifar-10, cifar-20 or stl-10 (default: DATA/datasets)')
    .option('--shard-mib <n>', 'MiB of images in a shard; another size is another data set', '64')
    .addHelpText(
      'after',
      `
Shards are named by their content: what is there already is not sent again, and a push that was cut goes on when it is repeated.
Example:
  kindred dataset push ~/photos --name photos
  kindred pretext --config-exp configs/pretext/demo_folder.yml --set train_db_name=artifact:photos --set val_db_name=artifact:photos`,
    )
    .action((source: string, options: PushOptions, command: Command) =>
      runWithStore(command, async (store, { output, interruption, folder }) => {
        const { form, root } = sourceOf(source, options, folder.datasets);
        let bar: ReturnType<typeof output.bar> | null = null;
        let pushing = '';
        try {
          const pushed = await pushDataset(store, {
            name: options.name,
            form,
            root,
            shardBytes: parseWhole('--shard-mib', options.shardMib, 1, 1024) * 2 ** 20,
            signal: interruption.signal,
            onProgress({ split, images, total, uploadedBytes }) {
              if (split !== pushing) {
                bar?.stop();
                bar = output.bar(`pushing ${split}`, total);
                pushing = split;
              }
              bar?.update(images, `${formatCount(images)} of ${formatCount(total)} images`);
              output.event('pushing', { split, images, total, uploadedBytes });
            },
          });
          bar = stopped(bar);
          const { set, sha256, uploadedFiles, reusedFiles, uploadedBytes } = pushed;
          for (const [split, { images, shards, classNames }] of Object.entries(set.splits)) {
            const classes = `${formatCount(classNames.length)} classes`;
            output.text(
              `${split}: ${formatCount(images)} images of ${classes} in ${formatCount(shards.length)} shards`,
            );
          }
          output.text(
            `${formatBytes(uploadedBytes)} sent in ${formatCount(uploadedFiles)} files, ${formatCount(reusedFiles)} were there already`,
          );
          output.text(`artifact:${options.name} is SHA-256 ${sha256.slice(0, 16)}…`);
          const splits = Object.fromEntries(Object.entries(set.splits).map(([split, { images }]) => [split, images]));
          output.result({
            name: `artifact:${options.name}`,
            sha256,
            splits,
            uploadedFiles,
            reusedFiles,
            uploadedBytes,
          });
        } finally {
          stopped(bar);
        }
      }),
    );
}

function stopped(bar: { stop(): void } | null): null {
  bar?.stop();
  return null;
}

function sourceOf(
  source: string,
  { dataDir }: PushOptions,
  datasets: string,
): Pick<PushDatasetOptions, 'form' | 'root'> {
  if (!isDatasetName(source) || source === 'folder') {
    if (dataDir === undefined) return { form: 'folder', root: resolve(source) };
    throw invalidField(
      '--data-dir',
      `got it beside the folder ${source}; allowed: beside cifar-10, cifar-20 or stl-10`,
    );
  }
  if (source === 'drawn') {
    throw invalidField(
      'SOURCE',
      "got 'drawn', which is made by formula anywhere; allowed: a folder, cifar-10, cifar-20, stl-10",
    );
  }
  return { form: source, root: dataDir === undefined ? datasets : dataRootOf(dataDir) };
}

// `kindred embed`: image files in, vectors out.
import type { Command } from 'commander';
import { FeatureKind } from '@kindred/protocol/embedding';
import { runCommand, type GlobalOptions } from '../command-context.js';
import { embedFiles } from '../image-vectors.js';
import { openSession } from '../session.js';

interface EmbedOptions extends GlobalOptions {
  readonly model: string;
  readonly backbone?: boolean;
}

/** Adds the command. */
export function addEmbed(program: Command): void {
  program
    .command('embed <image...>')
    .description('print the vector of each image: its name, a tab, numbers separated by commas')
    .requiredOption('--model <run>', 'the run that trained the model')
    .option('--backbone', "the backbone's vector instead of the embedding")
    .action((images: string[], _: unknown, command: Command) => {
      const options = command.optsWithGlobals<EmbedOptions>();
      return runCommand(options, async (context) => {
        const session = await openSession({ ...context, start: ['data-augmentation', 'neighbor-index', 'embedding'] });
        try {
          const kind = options.backbone === true ? FeatureKind.BACKBONE : FeatureKind.EMBEDDING;
          const vectors = await session.persist(() => embedFiles(session, options.model, images, kind));
          vectors.forEach((vector, i) => {
            if (context.output.json) context.output.event('vector', { image: images[i], vector: [...vector] });
            else context.output.text(`${images[i]}\t${[...vector].map((value) => value.toPrecision(6)).join(',')}`);
          });
          context.output.result({ model: options.model, count: vectors.length, dimension: vectors[0]?.length ?? 0 });
        } finally {
          await session.close();
        }
      });
    });
}

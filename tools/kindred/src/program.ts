// The commands and the options that all of them have.
import { Command } from 'commander';
import { addArtifacts } from './commands/artifacts.js';
import { addDataset } from './commands/dataset.js';
import { addDemo } from './commands/demo.js';
import { addEmbed } from './commands/embed.js';
import { addIndex } from './commands/index-migrate.js';
import { addModels } from './commands/models.js';
import { addNeighbors } from './commands/neighbors.js';
import { addPretext } from './commands/pretext.js';
import { addRuns } from './commands/runs.js';
import { addUp } from './commands/up.js';
import { addConnectionOptions } from './connection-options.js';
import { exitCodeHelp } from './exit-codes.js';

/** Makes the command line. Wrong usage is thrown as commander's own error instead of ending the process. */
export function createProgram(): Command {
  const program = new Command('kindred')
    .description("learns image embeddings without labels and finds each image's nearest kin")
    .version('0.1.0')
    .option('--data <dir>', 'folder of artifacts, data sets and logs', process.env['KINDRED_DATA'] ?? './kindred-data')
    .option(
      '--store <place>',
      "artifact store: a folder, s3://BUCKET/PREFIX?endpoint=…, or 'minio' for one here (default: DATA/artifacts)",
    )
    .option('--json', 'one JSON object a line on stdout, the last one the result; words go to stderr')
    .option('--verbose', 'show stack traces of errors')
    .showHelpAfterError('(kindred --help shows what there is)')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', exitCodeHelp)
    .exitOverride();
  for (const add of [
    addDemo,
    addPretext,
    addUp,
    addRuns,
    addDataset,
    addEmbed,
    addNeighbors,
    addIndex,
    addModels,
    addArtifacts,
  ])
    add(program);
  addConnectionOptions(program);
  return program;
}

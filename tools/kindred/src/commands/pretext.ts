// `kindred pretext`: the main job from the reference's two YAML files.
import type { Command } from 'commander';
import { KindredError } from '@kindred/errors';
import { readEnvironment, readExperiment } from '@kindred/experiment';
import { askedResources, resourceFlags, type ResourceOptions } from '../asked-resources.js';
import { resumePretext } from '../command-line.js';
import { runCommand, type GlobalOptions } from '../command-context.js';
import { assertOneOf, runPretextCommand } from '../pretext-command.js';
import type { PretextRequest } from '../pretext-job.js';
import { resultsFolderFor } from '../results.js';
import { dataRootOf, newRunId, parseOverrides, parseRunId, parseSeed, readNamedFile } from '../settings.js';

/** What only a new run can be told: a run that goes on keeps what it began with. */
const settingsOfNewRuns = ['--set', '--data-dir', '--run-id', '--seed', ...resourceFlags] as const;

interface PretextOptions extends GlobalOptions, ResourceOptions {
  readonly configEnv?: string;
  readonly configExp?: string;
  readonly set: string[];
  readonly dataDir?: string;
  readonly runId?: string;
  readonly seed: string;
  readonly resume?: string;
}

/** Adds the command. */
export function addPretext(program: Command): void {
  program
    .command('pretext')
    .description('train by SimCLR, then embed all images and mine their nearest neighbours')
    .option('--config-env <file>', 'environment file: root_dir names the folder that results are copied to')
    .option('--config-exp <file>', "experiment file, in the reference's own format")
    .option('--set <key=value>', 'replace a value of the experiment; may be given again', collect, [])
    .option('--data-dir <dir>', 'folder of the data set (default: DATA/datasets)')
    .option('--run-id <id>', 'name of the run (default: made from data set and time)')
    .option('--seed <n>', 'seed of all chance', '0')
    .option('--accelerator <name=count>', 'where runs are Jobs of Kubernetes: e.g. nvidia.com/gpu=1, or none')
    .option('--cpu <cores>', 'the same: processor cores of the run')
    .option('--memory-gib <n>', 'the same: its memory')
    .option('--priority-class <name>', 'the same: its PriorityClass')
    .option('--resume <id>', 'go on with a run that was stopped, instead of --config-exp')
    .addHelpText(
      'after',
      `
Uses the services of a running 'kindred up' with the same --data; without one it runs its own for the duration.
Results are copied to <root_dir>/<train_db_name>/pretext, unless root_dir is a placeholder that begins with /path/.
Example:
  kindred pretext --config-env configs/env.yml --config-exp configs/pretext/simclr_cifar10.yml --set epochs=10`,
    )
    .action((_: unknown, command: Command) => {
      const options = command.optsWithGlobals<PretextOptions>();
      return runCommand(options, async (context) => {
        assertOneOf('--config-exp', options.configExp !== undefined, '--resume', options.resume !== undefined);
        if (options.resume !== undefined) assertAbsent(command, settingsOfNewRuns);
        const { request, dataset } = await requestOf(options);
        const resultsFolder = await resultsOf(options);
        // Tried before the work begins: a folder that cannot be written to is said now, not after hours.
        if (dataset !== '') await resultsFolder(dataset);
        return runPretextCommand(context, {
          request,
          resultsFolder,
          resumeCommand: resumePretext(request.runId, options.data, options.configEnv),
        });
      });
    });
}

/** Gathers an option that may be given again. */
export function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

/** @throws KindredError INVALID_ARGUMENT with a violation for each of `flags` that the command line has. */
function assertAbsent(command: Command, flags: readonly string[]): void {
  const given = command.options
    .filter((option) => flags.includes(option.long ?? ''))
    .filter((option) => command.getOptionValueSource(option.attributeName()) === 'cli')
    .map((option) => option.long ?? '');
  if (given.length === 0) return;
  const description = 'not allowed beside --resume: a run that goes on keeps what it began with';
  throw new KindredError('INVALID_ARGUMENT', `got ${given.join(', ')}; ${description}`, {
    violations: given.map((field) => ({ field, description })),
  });
}

async function requestOf(options: PretextOptions): Promise<{ request: PretextRequest; dataset: string }> {
  if (options.configExp === undefined) {
    return { request: { runId: parseRunId('--resume', options.resume ?? ''), start: null }, dataset: '' };
  }
  const experiment = await readNamedFile('--config-exp', options.configExp);
  const overrides = parseOverrides(options.set);
  const { train_db_name: dataset } = readExperiment({ text: experiment, file: options.configExp, overrides });
  const runId = options.runId === undefined ? newRunId(dataset) : parseRunId('--run-id', options.runId);
  const start = {
    experiment,
    overrides,
    dataRoot: dataRootOf(options.dataDir),
    seed: parseSeed(options.seed),
    resources: askedResources(options),
  };
  return { request: { runId, start }, dataset };
}

async function resultsOf({ configEnv }: PretextOptions): Promise<(dataset: string) => Promise<string | null>> {
  if (configEnv === undefined) return async () => null;
  const environment = readEnvironment({ text: await readNamedFile('--config-env', configEnv), file: configEnv });
  return (dataset) => resultsFolderFor(environment, configEnv, dataset);
}

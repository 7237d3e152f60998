// `kindred neighbors`: the training images that are nearest to an image file.
import type { Command } from 'commander';
import { openStore } from '@kindred/artifact-store';
import { readExperiment } from '@kindred/experiment';
import { bytesOf } from '@kindred/service-runtime';
import { runCommand, type GlobalOptions } from '../command-context.js';
import { datasetReferences } from '../dataset-references.js';
import { embedFiles } from '../image-vectors.js';
import { indexIdOf } from '../neighbor-steps.js';
import { table } from '../output.js';
import { openSession, type Session } from '../session.js';
import { parseWhole } from '../settings.js';

interface NeighborsOptions extends GlobalOptions {
  readonly model: string;
  readonly count: string;
}

/** Adds the command. */
export function addNeighbors(program: Command): void {
  program
    .command('neighbors <image>')
    .description('print the training images nearest to an image: position, score, class')
    .requiredOption('--model <run>', 'the run that trained the model')
    .option('-k, --count <n>', 'how many', '10')
    .action((image: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<NeighborsOptions>();
      const { model } = options;
      return runCommand(options, async (context) => {
        const k = parseWhole('-k', options.count, 1, 2048);
        const session = await openSession({
          ...context,
          start: ['data-augmentation', 'neighbor-index', 'embedding'],
          dataRoots: ['/'],
        });
        try {
          const [vector = new Float32Array()] = await session.persist(() => embedFiles(session, model, [image]));
          const request = { collection: indexIdOf(model, 'train'), queries: bytesOf(vector), k };
          const { results } = await session.persist(() =>
            session.neighbors.search(request, { signal: session.signal }),
          );
          const classNames = await classNamesOf(session, model);
          const found = (results[0]?.neighbors ?? []).map(({ id, score, label }, i) => ({
            rank: i + 1,
            id: Number(id),
            score,
            label,
            className: classNames[label] ?? null,
          }));
          const rows = found.map(({ rank, id, score, label, className }) => [
            String(rank),
            String(id),
            score.toFixed(4),
            className ?? (label < 0 ? '–' : String(label)),
          ]);
          for (const line of table([['RANK', 'IMAGE', 'SCORE', 'CLASS'], ...rows], [0, 1, 2]))
            context.output.text(line);
          context.output.result({ model, image, neighbors: found });
        } finally {
          await session.close();
        }
      });
    });
}

/** Names of the classes that the run was trained on; none where they cannot be found: they only adorn the answer. */
async function classNamesOf(session: Session, model: string): Promise<readonly string[]> {
  try {
    const { experiment, dataRoot } = await runOf(session, model);
    const { train } = datasetReferences(readExperiment({ text: experiment }), dataRoot);
    const { description } = await session.augmentation.getDataset({ dataset: train }, { signal: session.signal });
    return description?.classNames ?? [];
  } catch {
    return [];
  }
}

/** From the trainer where it is up; else from its record in the artifact store, so that asking starts no training. */
async function runOf(session: Session, runId: string): Promise<{ experiment: string; dataRoot: string }> {
  if (!session.owned) {
    const { run } = await session.training.getRun({ runId }, { signal: session.signal });
    return { experiment: run?.experimentJson ?? '', dataRoot: run?.dataRoot ?? '' };
  }
  const store = await openStore(session.artifactStore ?? '');
  const text = await store.get(`runs/${runId}/run.json`);
  const { specification } = JSON.parse(new TextDecoder().decode(text)) as {
    specification: { experiment: unknown; dataRoot: string };
  };
  return { experiment: JSON.stringify(specification.experiment), dataRoot: specification.dataRoot };
}

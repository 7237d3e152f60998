// The whole way through services that run elsewhere: a small run is trained, its images are embedded, their neighbours mined; then an image
// that nobody has seen is embedded and its neighbours are asked for.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { blankPng } from '@kindred/testing';
import { expect } from 'vitest';
import { startKindred } from './kindred-command.js';

const settings = [
  ...['epochs=1', 'batch_size=16', 'model_kwargs.width=4', 'drawn_kwargs.train_size=64', 'drawn_kwargs.val_size=32'],
].flatMap((setting) => ['--set', setting]);

/**
 * Walks it with `kindred` on `folder`, which has room for its files; `environment` says where the services are.
 * @param said what the services have to say when something fails
 */
export async function walkSmallJob(
  folder: string,
  environment: Readonly<Record<string, string>>,
  said: () => string = () => '',
): Promise<void> {
  const data = join(folder, 'data');
  const job = startKindred(data, ['demo', ...settings], environment);
  expect(await job.exit, `${job.words()}\n${said()}`).toBe(0);
  expect(job.lines.at(-1)).toMatchObject({ event: 'summary' });

  const image = join(folder, 'unseen.png');
  writeFileSync(image, blankPng(48, 40));
  const { runId } = job.lines.at(-1) as unknown as { runId: string };
  const asked = startKindred(data, ['neighbors', image, '--model', runId, '-k', '5'], environment);
  expect(await asked.exit, `${asked.words()}\n${said()}`).toBe(0);
  const { neighbors } = asked.lines.at(-1) as unknown as { neighbors: { id: number; score: number }[] };
  expect(new Set(neighbors.map(({ id }) => id)).size).toBe(5);
  const scores = neighbors.map(({ score }) => score);
  expect(scores).toEqual(scores.toSorted((a, b) => b - a));
}

// Every command line that README.md and CONTRIBUTING.md show is one that the program takes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { createProgram } from './program.js';

const workspace = join(import.meta.dirname, '../../..');
const manifest = JSON.parse(readFileSync(join(workspace, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};

/** The lines of code blocks and the spans of code that begin as a command of ours; comments and `[optional]` parts dropped. */
function commandsIn(text: string): string[] {
  const blocks = [...text.matchAll(/^```\w*\n([\s\S]*?)^```/gm)].flatMap(([, block = '']) => block.split('\n'));
  const spans = [...text.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);
  return [...blocks, ...spans]
    .map((line) =>
      line
        .replace(/\s#.*$/, '')
        .replace(/\[[^\]]*\]/g, '')
        .trim(),
    )
    .filter((line) => /^(npx kindred|kindred|npm run|npm test)(\s|$)/.test(line));
}

/** Takes from each command what it does: only the parsing is left. */
function withoutActions(command: Command): Command {
  for (const inner of command.commands) withoutActions(inner);
  return command.commands.length > 0 ? command : command.action(() => {});
}

const lines = ['README.md', 'CONTRIBUTING.md'].flatMap((file) =>
  commandsIn(readFileSync(join(workspace, file), 'utf8')).map((line): [string, string] => [file, line]),
);

it('finds the commands', () => {
  expect(lines.map(([, line]) => line)).toEqual(expect.arrayContaining(['npm run demo', 'npx kindred up']));
});

it.each(lines)('%s: %s', async (_, line) => {
  const words = line.split(/\s+/);
  const script = words[0] === 'npm' ? (words[1] === 'run' ? words[2] : words[1]) : undefined;
  if (script !== undefined) expect(Object.keys(manifest.scripts)).toContain(script);
  if (script !== undefined && script !== 'demo') return;
  const rest = words.slice(words[0] === 'npm' ? 3 : words[0] === 'npx' ? 2 : 1).filter((word) => word !== '--');
  const program = withoutActions(createProgram());
  await program.parseAsync(script === undefined ? rest : [script, ...rest], { from: 'user' });
});

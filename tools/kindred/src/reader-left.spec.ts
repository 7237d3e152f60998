import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { exitCodes } from './exit-codes.js';

it('ends without a stack where nobody reads what it says', async () => {
  // The shell waits for a line before it becomes kindred, so that the reader has left by then.
  const child = spawn('sh', ['-c', 'read -r go; exec "$0" --import tsx "$1" --help', process.execPath, program()]);
  child.stdout.destroy();
  await once(child.stdout, 'close');
  child.stdin.end('go\n');
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  expect(said).toBe('');
  expect(code).toBe(exitCodes.readerLeft);
});

function program(): string {
  return join(import.meta.dirname, 'main.ts');
}

// What a program prints.
import { spawn } from 'node:child_process';

/** Runs a program and gives its standard output; throws with its last words unless it ends with 0. */
export function outputOf(program: string, args: readonly string[], input?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${program} ended with ${code}: ${said.slice(-2000)}`));
    });
    child.stdin.end(input ?? '');
  });
}

// A peer: one of the Python programs in peers/, spoken to in JSON lines.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { KindredError } from '@kindred/errors';
import type { Contestant, RoundResult } from './contestant.js';
import { pinToCore } from './core-pinning.js';

/** Which program, run how. */
export interface PeerOptions {
  /** The Python interpreter of the peers' environment. */
  readonly python: string;
  /** The program's file. */
  readonly script: string;
  readonly args: readonly string[];
  /** The one core that it may use. @default any */
  readonly core?: number;
  /** Added to this process's environment. */
  readonly env?: NodeJS.ProcessEnv;
}

type Answer = Partial<RoundResult> & {
  readonly ready?: boolean;
  readonly versions?: Record<string, string>;
  readonly error?: string;
};

const stderrKept = 4_000;

/** Starts a peer and waits until it has warmed up. @throws KindredError UNAVAILABLE with its last words if it ends. */
export async function startPeer({ python, script, args, core, env = {} }: PeerOptions): Promise<Contestant> {
  const child = spawn(python, [script, ...args], { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  if (core !== undefined && child.pid !== undefined) pinToCore(child.pid, core);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-stderrKept)));
  const failed = new Promise<never>((_, reject) => {
    const end = (reason: string) =>
      reject(new KindredError('UNAVAILABLE', `peer ${script} ended (${reason})\n${said.trim()}`));
    child.once('error', (error) => end(error.message));
    child.once('close', (code, signal) => end(signal ?? `exit code ${code}`));
  });
  failed.catch(() => {});
  // Writing to a peer that has just died is reported by its end, above.
  child.stdin.on('error', () => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<Answer> => {
    const line = await Promise.race([lines.next(), failed]);
    if (line.done === true) return failed;
    const parsed = JSON.parse(line.value) as Answer;
    if (parsed.error !== undefined) throw new KindredError('INTERNAL', `peer ${script}: ${parsed.error}`);
    return parsed;
  };

  const { versions = {} } = await answer();
  return {
    versions,
    async round(steps) {
      child.stdin.write(`${JSON.stringify({ cmd: 'round', steps })}\n`);
      const { seconds = 0, items = 0, peakMiB = null, deviceMiB = null } = await answer();
      return { seconds, items, peakMiB, deviceMiB };
    },
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.stdin.end();
      await once(child, 'close');
    },
  };
}

// Load on a gRPC service from a process of its own: ghz, built by tools/setup.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KindredError } from '@kindred/errors';
import { provisionGo } from '@kindred/setup/go-programs';

/** What is sent, and how. */
export interface LoadOptions {
  readonly address: string;
  /** Folder of the contract, `proto`. */
  readonly protos: string;
  /** A file with one serialised EmbedRequest. */
  readonly request: string;
  readonly seconds: number;
  /** Calls at one time. With `rate`: the most. */
  readonly concurrency: number;
  /** Calls a second, begun whether others have ended or not; null: as many as come back. */
  readonly rate: number | null;
  /** A file for ghz's report. */
  readonly report: string;
}

/** What came back. Latencies in milliseconds, rising. */
export interface LoadResult {
  /** Calls answered a second. */
  readonly answered: number;
  readonly answeredMs: readonly number[];
  readonly refusedMs: readonly number[];
  /** Cores that the load itself took, on average; NaN where that is not known. */
  readonly loadCores: number;
  /** Calls that ended otherwise, by status. */
  readonly otherStatuses: Readonly<Record<string, number>>;
}

/** Linux counts processor time in hundredths of a second for programs (USER_HZ). */
const ticksPerSecond = 100;

interface Report {
  readonly total: number;
  readonly details: readonly { readonly latency: number; readonly status: string }[] | null;
}

/** Sends load for `seconds`. @throws KindredError INTERNAL with ghz's words where it cannot. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const { address, protos, request, seconds, concurrency, rate, report } = options;
  const ghz = await provisionGo('ghz');
  const [begin, secondsBefore] = [performance.now(), childSeconds()];
  await run(ghz, [
    ...['--insecure', '--import-paths', protos, '--proto', join(protos, 'kindred/embedding/v1/embedding.proto')],
    ...['--call', 'kindred.embedding.v1.EmbeddingService.Embed', '--binary-file', request],
    ...['--duration', `${seconds}s`, '--duration-stop', 'wait', '--timeout', '30s'],
    ...['--concurrency', `${concurrency}`, '--connections', '4', '--cpus', '1', '--format', 'json', '--output', report],
    ...(rate === null ? [] : ['--rps', `${Math.max(1, Math.round(rate))}`, '--async']),
    address,
  ]);
  const loadCores = (childSeconds() - secondsBefore) / ((performance.now() - begin) / 1000);
  const { total, details } = JSON.parse(await readFile(report, 'utf8')) as Report;
  const latencies = (wanted: string): number[] =>
    (details ?? []).flatMap(({ latency, status }) => (status === wanted ? [latency / 1e6] : [])).sort((a, b) => a - b);
  const otherStatuses: Record<string, number> = {};
  for (const { status } of details ?? []) {
    if (status !== 'OK' && status !== 'ResourceExhausted') otherStatuses[status] = (otherStatuses[status] ?? 0) + 1;
  }
  const answeredMs = latencies('OK');
  return {
    answered: answeredMs.length / (total / 1e9),
    answeredMs,
    loadCores,
    refusedMs: latencies('ResourceExhausted'),
    otherStatuses,
  };
}

/** The value below which the part `q` of `rising` lies. NaN for none. */
export function quantile(rising: readonly number[], q: number): number {
  return rising[Math.min(rising.length - 1, Math.floor(q * rising.length))] ?? Number.NaN;
}

/** Processor time of this process's children that have ended, in seconds (proc_stat(5)); NaN without /proc. */
function childSeconds(): number {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[13]) + Number(fields[14])) / ticksPerSecond;
  } catch {
    return Number.NaN;
  }
}

function run(program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4000)));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new KindredError('INTERNAL', `ghz ended with exit code ${code}\n${said.trim()}`));
    });
  });
}

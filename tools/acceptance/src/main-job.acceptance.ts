// The main job at its real size: does the network learn, is what it writes whole, does any service grow.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { temporaryFolder } from '@kindred/testing';
import { afterAll, describe, expect, it } from 'vitest';

const program = resolve(import.meta.dirname, '../../../dist/tools/kindred/main.js');
const epochs = 10;
/** What the allocator keeps once, it keeps: growth is judged from the third epoch to the last. */
const settledEpoch = 3;
const allowedGrowth = 1.1;

type Line = Record<string, unknown> & { event?: string };

interface ServicesFile {
  readonly services: Record<string, { readonly metricsAddress: string }>;
}

describe('the main job', () => {
  const data = join(temporaryFolder('kindred-acceptance'), 'data');
  const children: ChildProcess[] = [];
  afterAll(() => {
    for (const child of children) if (child.exitCode === null) child.kill('SIGTERM');
  });

  /** Starts the command line; `onLine` sees each JSON line that it prints. */
  const kindred = (words: string[], onLine: (line: Line) => void) => {
    const child = spawn(process.execPath, [program, '--data', data, '--json', ...words], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    createInterface({ input: child.stdout }).on('line', (text) => onLine(JSON.parse(text) as Line));
    return { child, exit: once(child, 'exit') };
  };

  const residentBytes = async (): Promise<Record<string, number>> => {
    const { services } = JSON.parse(readFileSync(join(data, 'services.json'), 'utf8')) as ServicesFile;
    const pairs = Object.entries(services).map(async ([name, { metricsAddress }]) => {
      const text = await (await fetch(`http://${metricsAddress}/metrics`)).text();
      return [name, Number(/^process_resident_memory_bytes (\S+)/m.exec(text)?.[1])] as const;
    });
    return Object.fromEntries(await Promise.all(pairs));
  };

  it('learns: kNN rises by 25 points or more, neighbours share classes, memory stays flat', async () => {
    const ready = new Promise<void>((done) => {
      kindred(['up', '--port-base', '0'], ({ event }) => event === 'ready' && done());
    });
    await ready;
    // A service's memory rises and falls with each collection of its garbage: an epoch is judged by its peak.
    const samples: Promise<Record<string, number>>[][] = [[]];
    const training: number[] = [];
    const tensors: number[] = [];
    let last: Line = {};
    const { exit } = kindred(['demo', '--set', `epochs=${epochs}`], (line) => {
      last = line;
      if (line.event === 'step' || line.event === 'epoch') samples.at(-1)?.push(residentBytes());
      if (line.event !== 'epoch') return;
      samples.push([]);
      training.push(Number(line['residentBytes']));
      tensors.push(Number(line['tensorCount']));
    });
    expect((await exit)[0]).toBe(0);

    const summary = last as {
      untrainedKnnTop1: number;
      knnTop1: number;
      neighborAccuracyTrain: number;
      artifacts: Record<string, string>;
    };
    expect(summary.knnTop1 - summary.untrainedKnnTop1).toBeGreaterThanOrEqual(25);
    expect(summary.neighborAccuracyTrain).toBeGreaterThan(summary.untrainedKnnTop1);
    for (const path of Object.values(summary.artifacts)) expect(existsSync(path), path).toBe(true);

    expect(training.length).toBe(epochs);
    expect(new Set(tensors).size, `tensors after each epoch: ${tensors.join(', ')}`).toBe(1);
    const series = await Promise.all(samples.slice(0, epochs).map((ofEpoch) => Promise.all(ofEpoch)));
    const all: Record<string, number[]> = { 'training process': training };
    for (const name of Object.keys(series[0]?.[0] ?? {})) {
      all[name] = series.map((ofEpoch) => Math.max(...ofEpoch.map((sample) => sample[name] ?? NaN)));
    }
    for (const [name, bytes] of Object.entries(all)) {
      const mebibytes = bytes.map((value) => Math.round(value / 2 ** 20));
      console.log(`${name}: resident MiB after each epoch: ${mebibytes.join(' ')}`);
      const growth = fittedGrowth(bytes.slice(settledEpoch - 1));
      expect(growth, `${name}: ${mebibytes.join(' ')}`).toBeLessThanOrEqual(allowedGrowth);
    }
  });
});

/**
 * Last over first value of the straight line that fits `values` best (least squares). A leak grows with every epoch, while
 * a collection of garbage that happens to come early or late moves single values by a tenth.
 */
function fittedGrowth(values: readonly number[]): number {
  const last = values.length - 1;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let covariance = 0;
  let variance = 0;
  values.forEach((value, i) => {
    covariance += (i - last / 2) * (value - mean);
    variance += (i - last / 2) ** 2;
  });
  const rise = (covariance / variance) * last;
  return (mean + rise / 2) / (mean - rise / 2);
}

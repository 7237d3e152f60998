// What the processes of a command take: `node tools/manifests/measure.mjs COMMAND…` runs it, looks at its processes and theirs twice a second, and
// writes for each of Kindred's, MinIO's and Weaviate's the largest resident memory (the kernel's VmHWM) and the busiest four seconds. Linux.
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const ticksPerSecond = 100;
const lookMs = 500;
const busyMs = 4000;

/**
 * @typedef {object} Process
 * @property {string} name
 * @property {number} peakMib
 * @property {number} cpuSeconds
 * @property {number} peakCores
 */

/**
 * Runs a command until it ends.
 * @param {readonly string[]} command
 * @param {(words: string) => string | null} nameOf a name for a process by its command line; null: not looked at
 * @returns {Promise<{ code: number | null, processes: Process[] }>}
 */
export async function measure([program = '', ...args], nameOf) {
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  /** @type {Map<number, Process & { since: number, cpuThen: number }>} */
  const seen = new Map();
  const look = () => {
    for (const pid of withChildren(child.pid ?? 0)) {
      const words = textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
      const name = nameOf(words);
      const highWater = /^VmHWM:\s+(\d+) kB$/m.exec(textOf(`/proc/${pid}/status`))?.[1];
      if (name === null || highWater === undefined) continue;
      const fields = textOf(`/proc/${pid}/stat`)
        .replace(/^.*\) /, '')
        .split(' ');
      const cpuSeconds = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
      const now = Date.now();
      const one = seen.get(pid) ?? { name, peakMib: 0, cpuSeconds, peakCores: 0, since: now, cpuThen: cpuSeconds };
      one.peakMib = Math.max(one.peakMib, Number(highWater) / 1024);
      one.cpuSeconds = cpuSeconds;
      if (now - one.since >= busyMs) {
        one.peakCores = Math.max(one.peakCores, ((cpuSeconds - one.cpuThen) * 1000) / (now - one.since));
        [one.since, one.cpuThen] = [now, cpuSeconds];
      }
      seen.set(pid, one);
    }
  };
  const timer = setInterval(look, lookMs);
  const code = await ended;
  clearInterval(timer);
  const processes = [...seen.values()].map(({ name, peakMib, cpuSeconds, peakCores }) => ({
    ...{ name, peakMib, cpuSeconds, peakCores },
  }));
  return { code: /** @type {number | null} */ (code), processes };
}

/**
 * Names of what the sizing table of docs/kubernetes.md is about.
 * @param {string} words
 */
export function knownName(words) {
  const service = /dist\/services\/([a-z-]+)\/([a-z-]+(?:\.worker)?)\.js/.exec(words);
  if (service !== null) return `${service[1]} ${service[2]}`;
  return /(?:^|\/)(minio|weaviate)\b[^ ]* (?:server|--)/.exec(words)?.[1] ?? null;
}

/**
 * @param {number} pid
 * @returns {number[]}
 */
function withChildren(pid) {
  let tasks = [];
  try {
    tasks = readdirSync(`/proc/${pid}/task`);
  } catch {
    // It has ended.
  }
  const children = tasks.flatMap((task) => textOf(`/proc/${pid}/task/${task}/children`).split(' ').filter(Boolean));
  return [pid, ...children.flatMap((child) => withChildren(Number(child)))];
}

/** @param {string} file */
function textOf(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { code, processes } = await measure(process.argv.slice(2), knownName);
  for (const { name, peakMib, cpuSeconds, peakCores } of processes) {
    const memory = `${Math.round(peakMib)} MiB`.padStart(9);
    console.log(
      `${name.padEnd(32)} ${memory} ${cpuSeconds.toFixed(0).padStart(6)} s of CPU, at most ${peakCores.toFixed(2)} cores`,
    );
  }
  process.exitCode = code ?? 1;
}

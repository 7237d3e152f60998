// Load of one unary gRPC call, again and again: at a fixed rate whether answers come or not, or so many at one time.
import type { KindredError } from '@kindred/errors';
import { callFrames } from './call-frames.js';
import { openLoadConnection, type CallEnd, type LoadConnection } from './load-connection.js';

/** What is sent, and how. */
export interface CallLoadOptions {
  /** `host:port`, without TLS. */
  readonly address: string;
  /** `/package.Service/Method`. */
  readonly path: string;
  /** The request's message as protobuf. */
  readonly message: Uint8Array;
  readonly seconds: number;
  /** Calls at one time; with `rate` it says nothing. */
  readonly concurrency: number;
  /** Calls a second, begun whether others have ended or not; null: as many as come back. */
  readonly rate: number | null;
  /** @default 4 */
  readonly connections?: number;
  /** Deadline of each call. @default 30 */
  readonly timeoutSeconds?: number;
}

/** What came back. Latencies in milliseconds, from a call's begin, before it waits for a window or a stream, rising. */
export interface CallLoadResult {
  /** From the first call's begin to the last one's end. */
  readonly seconds: number;
  readonly begun: number;
  readonly answeredMs: Float64Array;
  readonly refusedMs: Float64Array;
  /** Calls that ended otherwise, by how. */
  readonly otherEnds: Readonly<Record<string, number>>;
  /** Processor time of this process meanwhile. */
  readonly cpuSeconds: number;
}

/** How often calls are begun at a fixed rate: all that are due go out in one write, each time on the next connection. */
const burstMs = 5;
/** Calls at a fixed rate that may be without an end at one time; further ones are told as not begun. */
const mostOpenCalls = 20_000;
const microsecond = 1e-6;

/** Sends load for `seconds` and waits for what is open. @throws KindredError UNAVAILABLE when a connection fails. */
export function runCallLoad(options: CallLoadOptions): Promise<CallLoadResult> {
  const { address, seconds, rate, concurrency, connections = 4, timeoutSeconds = 30 } = options;
  const call = callFrames({ authority: address, path: options.path, message: options.message, timeoutSeconds });
  const host = address.slice(0, address.lastIndexOf(':'));
  const port = Number(address.slice(address.lastIndexOf(':') + 1));
  const ends = new Map<CallEnd, number[]>([
    ['answered', []],
    ['refused', []],
  ]);
  const cpuBefore = process.cpuUsage();
  const beginMs = performance.now();
  const untilMs = beginMs + seconds * 1000;
  let [begun, open, due, turn, lastEndMs] = [0, 0, 0, 0, beginMs];

  return new Promise((resolve, reject) => {
    const all = new Set<LoadConnection>();
    const slots = Array.from({ length: connections }, (_, slot) => openSlot(slot));
    let timer: NodeJS.Timeout | undefined;
    const late = setTimeout(finish, (seconds + timeoutSeconds + 1) * 1000);
    if (rate === null) {
      for (let i = 0; i < concurrency; i++) begin(i % connections, performance.now());
      for (const slot of slots) slot.flush();
    } else {
      timer = setInterval(() => burst(rate), burstMs);
      burst(rate);
    }

    function openSlot(slot: number): LoadConnection {
      const connection = openLoadConnection({
        ...{ host, port, call },
        onEnd(beganMs, end) {
          ended(beganMs, end);
          if (rate !== null || performance.now() >= untilMs) {
            finishIfDone();
            return;
          }
          begin(slot, performance.now());
          // A connection flushes after what it has read; this one may have been replaced.
          if (slots[slot] !== connection) slots[slot]?.flush();
        },
        onRetired(unseen) {
          // GOAWAY may come twice, the second time with fewer streams that end.
          if (slots[slot] === connection) slots[slot] = openSlot(slot);
          for (const beganMs of unseen) slots[slot]?.begin(beganMs);
          slots[slot]?.flush();
        },
        onFailed: stop,
      });
      all.add(connection);
      return connection;
    }

    function begin(slot: number, now: number): void {
      begun++;
      open++;
      slots[slot]?.begin(now);
    }

    function burst(perSecond: number): void {
      const now = performance.now();
      const elapsed = Math.min(now - beginMs, seconds * 1000) / 1000;
      const wanted = Math.min(Math.ceil(perSecond * seconds), Math.floor(perSecond * elapsed) + 1);
      const slot = turn++ % connections;
      for (; due < wanted; due++) {
        if (open < mostOpenCalls) begin(slot, now);
        else count('not begun', 0);
      }
      slots[slot]?.flush();
      if (now < untilMs) return;
      clearInterval(timer);
      finishIfDone();
    }

    function count(end: CallEnd, ms: number): void {
      const latencies = ends.get(end);
      if (latencies === undefined) ends.set(end, [ms]);
      else latencies.push(ms);
    }

    function ended(beganMs: number, end: CallEnd): void {
      open--;
      lastEndMs = performance.now();
      count(end, lastEndMs - beganMs);
    }

    function finishIfDone(): void {
      if (open === 0 && performance.now() >= untilMs) finish();
    }

    function finish(): void {
      const cpu = process.cpuUsage(cpuBefore);
      tidy();
      for (; open > 0; open--) count('no answer', 0);
      const rising = (end: CallEnd): Float64Array => Float64Array.from(ends.get(end) ?? []).sort();
      const others = [...ends].filter(([end]) => end !== 'answered' && end !== 'refused');
      resolve({
        ...{ begun, answeredMs: rising('answered'), refusedMs: rising('refused') },
        seconds: (lastEndMs - beginMs) / 1000,
        otherEnds: Object.fromEntries(others.map(([end, latencies]) => [end, latencies.length])),
        cpuSeconds: (cpu.user + cpu.system) * microsecond,
      });
    }

    function stop(error: KindredError): void {
      tidy();
      reject(error);
    }

    function tidy(): void {
      clearInterval(timer);
      clearTimeout(late);
      for (const connection of all) connection.close();
    }
  });
}

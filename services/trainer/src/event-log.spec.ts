import { describe, expect, it } from 'vitest';
import { createEventLog, type Watched } from './event-log.js';
import type { RunEventBody } from './run.js';

const knn = (epochsTrained: number): RunEventBody => ({ kind: 'knn', epochsTrained, top1: 1, seconds: 1 });
const ended: RunEventBody = { kind: 'ended', state: 'succeeded', failure: null };
const time = '2026-01-01T00:00:00.000Z';

async function collect(watch: AsyncIterable<Watched>): Promise<(number | string)[]> {
  const seen: (number | string)[] = [];
  for await (const item of watch) {
    if ('event' in item) seen.push(item.event.number);
    else seen.push('podEnd' in item ? item.podEnd.pod : item.notice.message);
  }
  return seen;
}

describe('event log', () => {
  it('gives the ends of pods by their time between the events, from where a watcher left, and before the last event', async () => {
    const log = createEventLog([]);
    const at = (second: number): string => `2026-01-01T00:00:0${second}.000Z`;
    const pod = (number: number, second: number) =>
      log.addPodEnd({
        ...{ number, time: at(second), job: 'j', uid: `u${number}`, pod: `pod-${number}`, node: 'n' },
        ...{ reason: 'exited', exitCode: 1, message: '', log: '' },
      });
    log.append(at(1), knn(0));
    pod(0, 2);
    const watching = collect(log.watch(0, new AbortController().signal));
    await Promise.resolve();
    log.append(at(3), knn(1));
    pod(1, 9);
    log.append(at(5), ended);
    expect(await watching).toEqual([0, 'pod-0', 1, 'pod-1', 2]);
    expect(await collect(log.watch(2, new AbortController().signal, 1))).toEqual(['pod-1', 2]);
  });

  it('gives past and coming events to each watcher, and ends after the last', async () => {
    const log = createEventLog([]);
    log.append(time, knn(0));
    const early = collect(log.watch(0, new AbortController().signal));
    const late = collect(log.watch(1, new AbortController().signal));
    await Promise.resolve();
    log.append(time, knn(1));
    log.notify('hello');
    log.append(time, ended);
    expect([...(await early)].sort()).toEqual([0, 1, 2, 'hello']);
    expect((await late).filter((item) => typeof item === 'number')).toEqual([1, 2]);
    expect(await collect(log.watch(9, new AbortController().signal))).toEqual([]);
  });

  it('sends events again that a crash has taken back, under their old numbers', async () => {
    const log = createEventLog([]);
    for (let epoch = 0; epoch < 3; epoch++) log.append(time, knn(epoch));
    const abort = new AbortController();
    const watch = log.watch(0, abort.signal);
    const numbers: number[] = [];
    for (let read = 0; read < 3; read++) {
      const { value } = await watch.next();
      if (value !== undefined && 'event' in value) numbers.push(value.event.number);
    }
    log.cutBack(1);
    log.append(time, knn(1));
    log.append(time, ended);
    expect([...numbers, ...(await collect(watch))]).toEqual([0, 1, 2, 1, 2]);
  });

  it('ends when the watcher leaves', async () => {
    const abort = new AbortController();
    const watching = collect(createEventLog([]).watch(0, abort.signal));
    abort.abort();
    expect(await watching).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import { createEventLog, type Watched } from './event-log.js';
import type { RunEventBody } from './run.js';

const knn = (epochsTrained: number): RunEventBody => ({ kind: 'knn', epochsTrained, top1: 1, seconds: 1 });
const ended: RunEventBody = { kind: 'ended', state: 'succeeded', failure: null };
const time = '2026-01-01T00:00:00.000Z';

async function collect(watch: AsyncIterable<Watched>): Promise<(number | string)[]> {
  const seen: (number | string)[] = [];
  for await (const item of watch) seen.push('event' in item ? item.event.number : item.notice.message);
  return seen;
}

describe('event log', () => {
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

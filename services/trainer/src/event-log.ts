// The events of one run in memory: numbered, watched by any number of readers, cut back when a run goes on from a checkpoint.
import type { PodEnd } from './pod-ends.js';
import type { Notice, RunEvent, RunEventBody } from './run.js';

/** What a watcher receives. */
export type Watched = { readonly event: RunEvent } | { readonly notice: Notice } | { readonly podEnd: PodEnd };

/** The log of one run. */
export interface EventLog {
  readonly events: readonly RunEvent[];
  /** The latest notices, oldest first. */
  readonly notices: readonly Notice[];
  /** How pods of it have ended, in order; no part of the events, since they depend on the cluster. */
  readonly podEnds: readonly PodEnd[];
  addPodEnd(end: PodEnd): void;
  append(time: string, body: RunEventBody): RunEvent;
  notify(message: string): void;
  /** Forgets the events from `count` on: the run goes on from a checkpoint, they will come again. */
  cutBack(count: number): void;
  /** While paused, watchers are told what there is and then leave. */
  setPaused(paused: boolean): void;
  /**
   * Yields events from `first` on with the ends of pods from `firstPodEnd` on between them, by time, and notices as they come; ends
   * after an `ended` event, when paused or when aborted.
   */
  watch(first: number, signal: AbortSignal, firstPodEnd?: number): AsyncGenerator<Watched, void, undefined>;
}

const keptNotices = 10;

/** Makes a log that begins with `past`. */
export function createEventLog(past: readonly RunEvent[]): EventLog {
  const events = [...past];
  const podEnds: PodEnd[] = [];
  const notices: Notice[] = [];
  let noticeCount = 0;
  let cuts: number[] = [];
  let cutCount = 0;
  let waiters: Array<() => void> = [];
  let isPaused = false;
  const wake = (): void => {
    for (const waiter of waiters.splice(0)) waiter();
  };

  return {
    events,
    notices,
    podEnds,
    addPodEnd(end) {
      podEnds.push(end);
      wake();
    },
    append(time, body) {
      const event = { number: events.length, time, body };
      events.push(event);
      wake();
      return event;
    },
    notify(message) {
      notices.push({ time: new Date().toISOString(), message });
      if (notices.length > keptNotices) notices.shift();
      noticeCount++;
      wake();
    },
    cutBack(count) {
      events.length = Math.min(events.length, count);
      cuts = [...cuts.slice(-99), count];
      cutCount++;
      wake();
    },
    setPaused(paused) {
      isPaused = paused;
      wake();
    },
    async *watch(first, signal, firstPodEnd = 0) {
      let [next, nextPodEnd] = [first, firstPodEnd];
      let noticesSeen = noticeCount;
      let cutsSeen = cutCount;
      for (;;) {
        // A reader that had read past a cut reads again from there: the numbers say so.
        for (const count of cuts.slice(cuts.length - (cutCount - cutsSeen))) next = Math.min(next, count);
        cutsSeen = cutCount;
        const fresh = Math.min(noticeCount - noticesSeen, notices.length);
        noticesSeen = noticeCount;
        for (const notice of notices.slice(notices.length - fresh)) yield { notice };
        const event = events[next];
        const podEnd = podEnds[nextPodEnd];
        // The last event ends the stream: nothing may come after it.
        if (podEnd !== undefined && (event === undefined || podEnd.time <= event.time || event.body.kind === 'ended')) {
          nextPodEnd++;
          yield { podEnd };
          continue;
        }
        if (event !== undefined) {
          next++;
          yield { event };
          continue;
        }
        if (noticesSeen !== noticeCount || cutsSeen !== cutCount) continue;
        if (signal.aborted || isPaused || events.at(-1)?.body.kind === 'ended') return;
        await new Promise<void>((resolve) => {
          const done = (): void => {
            signal.removeEventListener('abort', done);
            waiters = waiters.filter((waiter) => waiter !== done);
            resolve();
          };
          signal.addEventListener('abort', done, { once: true });
          waiters.push(done);
        });
      }
    },
  };
}

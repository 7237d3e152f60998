// Works on runs as Jobs of a cluster: each run has one at once, the cluster's scheduler decides whose turn it is. The pods
// write into the artifact store; what they have written there and what the cluster says of them is read here.
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { KindredError, toKindredError } from '@kindred/errors';
import type { JobClient, JobState, PodState } from '@kindred/kubernetes-jobs';
import { openClusterView, type ClusterView } from './cluster-view.js';
import { createJobMaker, otherJob, type JobMakerOptions } from './job-maker.js';
import { isJobOf } from './job-manifest.js';
import { isOver, openPodAccount, type PodAccount, type PodAccountOptions } from './pod-account.js';
import { faultsSince, type PodEnd } from './pod-ends.js';
import { endOfPod, waitKind, waitingReason } from './pod-words.js';
import { countRun, uncountRun } from './run-metrics.js';
import type { RunWork } from './run.js';
import { createRunEnds, type RunEndsOptions } from './run-ends.js';
import { exclusively, type RunEntry } from './run-entry.js';
import { errorOf, type RunOutcome, type RunProgress } from './run-progress.js';
import { takeProgress, type ProgressSeen } from './progress-reader.js';
import type { RunQueue } from './run-queue.js';
import type { Turn } from './turn.js';

/** How runs become Jobs. */
export interface JobQueueOptions extends RunEndsOptions, JobMakerOptions, Pick<PodAccountOptions, 'podEnds'> {
  readonly client: JobClient;
  readonly progress: RunProgress;
  /** How often the progress of a run is read, in milliseconds. */
  readonly pollMs: number;
  /** Nothing is done while it is not certainly this trainer's. */
  readonly turn: Pick<Turn, 'isOurs'>;
}

/** A run under way. */
interface Attended {
  readonly entry: RunEntry;
  readonly progress: ProgressSeen;
  readonly pods: PodAccount;
  /** When its outcome was first seen; 0: it was not. */
  outcomeAt: number;
  /** What was last said of why it waits, or of a trouble; the same is not said again. */
  lastWords: string;
  /** Until when no Job is made, after a refusal. */
  retryAt: number;
  retryMs: number;
  wake: () => void;
}

type Ending = (() => Promise<void>) | null;

/** What a run waits for and then has: anything else that the API refuses is the run's end. */
const passing: readonly string[] = ['UNAVAILABLE', 'RESOURCE_EXHAUSTED', 'UNAUTHENTICATED'];
const firstRetryMs = 1_000;
const maxRetryMs = 30_000;
/** The end of a log that is part of an error's text. */
const saidBytes = 2_000;
/** Pods of a run that end by a fault of their own in a row, without a checkpoint between them, until the run has failed. */
const maxFaults = 5;
/** How long a run whose outcome is stored waits for the end of its pod. */
const seenOutMs = 10_000;

/** Makes an empty queue over the cluster. */
export function createJobQueue(options: JobQueueOptions): RunQueue {
  const { store, client, logger } = options;
  const { endRun, stop, showHistory } = createRunEnds(options);
  const view: ClusterView = openClusterView(client);
  const attended = new Map<RunEntry, Attended>();
  const working = new Set<Promise<void>>();
  const closing = new AbortController();
  // Each run waits with it.
  setMaxListeners(0, closing.signal);
  const makeJob = createJobMaker(options);

  /** Follows a run to its end, or to the end of this service. */
  const attend = async (run: Attended): Promise<void> => {
    const { entry } = run;
    const { runId } = entry.record.specification;
    const leave = view.attend(runId, () => run.wake());
    try {
      await followToEnd(run, runId);
    } finally {
      uncountRun(runId);
      leave();
    }
  };

  /** Removes what pods have left for this side to read. */
  const forget = async (runId: string): Promise<void> => {
    await options.progress.remove(runId);
    await options.podEnds.removeWords(runId);
  };

  const followToEnd = async (run: Attended, runId: string): Promise<void> => {
    const { entry } = run;
    while (!closing.signal.aborted) {
      const changed = new Promise<void>((resolve) => (run.wake = resolve));
      try {
        const end = options.turn.isOurs ? await step(run) : null;
        if (end !== null && options.turn.isOurs) {
          await exclusively(entry, async () => {
            await end();
            await forget(runId).catch(() => {});
          });
          return;
        }
        await Promise.race([changed, delay(options.pollMs, undefined, { signal: closing.signal, ref: false })]);
      } catch (thrown) {
        if (closing.signal.aborted) return;
        const error = toKindredError(thrown);
        if (!passing.includes(error.code)) {
          logger.error({ err: thrown, run: runId }, 'a run could not be followed');
          await exclusively(entry, () => stop(entry, error, null));
          return;
        }
        tell(run, `${error.message}; trying again`);
        await delay(options.pollMs, undefined, { signal: closing.signal, ref: false }).catch(() => {});
      }
    }
  };

  /** Looks once at where a run stands, and does what is due. Null: it goes on. */
  const step = async (run: Attended): Promise<Ending> => {
    const { entry } = run;
    const { specification } = entry.record;
    const outcome = await readStore(run);
    // Whatever the cluster says or cannot say.
    if (outcome !== null) return (await isPodSeenOut(run, outcome)) ? endBy(run, outcome) : null;
    if (view.trouble !== null)
      tell(run, `${view.trouble.message}; the run goes on, what the cluster says of it is missing`);
    if (!view.isWhole) {
      if (entry.record.state === 'pending') countRun(specification.runId, 'api');
      return null;
    }
    const job = view.jobNamed(specification.runId);
    if (job === null) return withoutJob(run);
    if (!isJobOf(job, specification)) return () => stop(entry, otherJob(job), null);
    const pods = view.podsOf(job.uid);
    await run.pods.take(pods);
    if (entry.cancelling) {
      if (!job.deleting) await client.delete(job);
      return null;
    }
    await remember(run, { job: job.uid });
    if (job.deleting) return null;
    const faults = faultsSince(entry.log.podEnds, job.uid, lastCommitTime(entry));
    if (faults >= maxFaults && job.failed === null && !job.complete) return giveUp(run, job);
    if (job.complete || job.failed !== null) return atEnd(run, job, pods);
    const current = pods.findLast(({ phase }) => phase === 'Pending' || phase === 'Running') ?? null;
    await setState(run, current);
    if (view.trouble !== null) return null;
    const warning = view.warningOf(job.uid);
    countRun(specification.runId, current?.phase === 'Running' ? null : waitKind(job, current, warning));
    if (current?.phase === 'Running') run.lastWords = '';
    else tell(run, waitingReason(job, current, warning, options.queue));
    return null;
  };

  /**
   * Whether the end of the pod that has stored the outcome is in the account. It comes a moment later; a cluster that does not say so
   * in time keeps no run from its end.
   */
  const isPodSeenOut = async (run: Attended, outcome: RunOutcome): Promise<boolean> => {
    run.outcomeAt ||= Date.now();
    const pods = view.podsOf(outcome.job);
    await run.pods.take(pods);
    const pod = pods.find(({ uid }) => uid === outcome.pod);
    if (view.trouble !== null || (view.isWhole && (pod === undefined || isOver(pod)))) return true;
    return Date.now() - run.outcomeAt > seenOutMs;
  };

  /** Ends a run whose pods end again and again; its Job would go on making them. */
  const giveUp = async (run: Attended, job: JobState): Promise<Ending> => {
    const { entry } = run;
    // A pod may have come to a checkpoint or to its end since the store was read.
    const outcome = await readStore(run);
    if (outcome !== null) return endBy(run, outcome);
    const faults = faultsSince(entry.log.podEnds, job.uid, lastCommitTime(entry));
    if (faults < maxFaults) return null;
    const { message, log } = entry.log.podEnds.at(-1) as PodEnd;
    const where = log === '' ? '' : `; its last words are in ${log}`;
    const reason = `${faults} pods ended by a fault of their own without reaching a checkpoint; the last: ${message}${where}`;
    return async () => {
      await client.delete(job);
      await stop(entry, new KindredError('INTERNAL', reason), null);
    };
  };

  /** What the pod has stored; the outcome only of the Job that works on the run. */
  const readStore = async (run: Attended): Promise<RunOutcome | null> => {
    const { entry } = run;
    const committed = await takeProgress(entry, run.progress, options);
    if (committed.some(({ checkpoint }) => checkpoint.knnTop1 !== null)) await showHistory(entry);
    const outcome = await options.progress.readOutcome(entry.record.specification.runId);
    if (outcome === null || outcome.job !== entry.record.work?.job) return null;
    // The pod's last account was stored before it, perhaps after the one that was read.
    await takeProgress(entry, run.progress, options);
    return outcome;
  };

  const withoutJob = async (run: Attended): Promise<Ending> => {
    const { entry } = run;
    const { specification, work } = entry.record;
    // What is left of a Job that has gone.
    await run.pods.take(view.podsOf(work?.job ?? ''));
    if (entry.cancelling) return cancelled(entry);
    if (Date.now() < run.retryAt || view.trouble !== null) return null;
    try {
      const job = await makeJob(specification);
      view.take(job);
      await remember(run, { job: job.uid, pod: '' });
      run.retryMs = firstRetryMs;
      if (work !== undefined && work.job !== job.uid) {
        tell(run, "the run's Job was gone; a new one goes on from the last checkpoint");
      }
      logger.info({ run: specification.runId, job: job.uid }, 'job made');
    } catch (thrown) {
      const error = toKindredError(thrown);
      if (!passing.includes(error.code)) {
        const refusal = `the run's Job could not be made: ${error.message}`;
        return () => stop(entry, new KindredError(error.code, refusal, { cause: error }), null);
      }
      countRun(specification.runId, error.code === 'RESOURCE_EXHAUSTED' ? 'quota' : 'api');
      run.retryAt = Date.now() + run.retryMs;
      run.retryMs = Math.min(maxRetryMs, 2 * run.retryMs);
      tell(run, `waits: ${error.message}`);
    }
    return null;
  };

  /** Asks the API itself: a Job may have been made by a call whose answer was lost. */
  const cancelled = async (entry: RunEntry): Promise<Ending> => {
    const { specification } = entry.record;
    const job = await client.get(specification.runId);
    if (job === null || !isJobOf(job, specification)) return () => endRun(entry, 'cancelled', null);
    if (!job.deleting) await client.delete(job);
    return null;
  };

  /** The Job has ended: by what its pod has stored, else by what is known of the pod. */
  const atEnd = async (run: Attended, job: JobState, pods: readonly PodState[]): Promise<Ending> => {
    // Again: the pod stores its outcome before it ends, perhaps after the store was read.
    const outcome = await readStore(run);
    if (outcome !== null) return endBy(run, outcome);
    if (job.failed === null) {
      const advice = "is the pod's KINDRED_ARTIFACT_STORE the trainer's?";
      const error = new KindredError(
        'INTERNAL',
        `the run's pod ended well, but no outcome of it is in the artifact store; ${advice}`,
      );
      return () => stop(run.entry, error, null);
    }
    const last = pods.findLast(({ phase }) => phase === 'Failed') ?? null;
    const said = last === null ? '' : await lastWordsOf(run, last);
    const how = last === null ? '' : `; ${endOfPod(last)}`;
    const message = `the Job of the run failed (${job.failed.reason}: ${job.failed.message})${how}${said}`;
    return () => stop(run.entry, new KindredError('INTERNAL', message), null);
  };

  const lastWordsOf = async ({ entry }: Attended, pod: PodState): Promise<string> => {
    try {
      const log = (await client.logTail(pod.name, saidBytes)).trim();
      return log === '' ? '' : `; its last words:\n${log}`;
    } catch (thrown) {
      const kept = entry.log.podEnds.find(({ uid }) => uid === pod.uid)?.log ?? '';
      if (kept !== '') return `; its last words are in ${kept}`;
      return `; its log cannot be read (${toKindredError(thrown).message})`;
    }
  };

  const endBy = ({ entry }: Attended, outcome: RunOutcome): Ending => {
    if (outcome.kind === 'done') return () => endRun(entry, 'succeeded', null, outcome.artifacts);
    return () => stop(entry, errorOf(outcome), outcome.stepsCompleted);
  };

  /** Keeps in the record who works on the run. */
  const remember = async ({ entry }: Attended, change: Partial<RunWork>): Promise<void> => {
    const { work = { job: '', pod: '' } } = entry.record;
    const next = { ...work, ...change };
    if (next.job === work.job && next.pod === work.pod) return;
    await exclusively(entry, async () => {
      const record = { ...entry.record, work: next };
      await store.saveGoing(record);
      entry.record = record;
    });
  };

  /** A run is running while a pod of it does; else it waits. */
  const setState = async ({ entry }: Attended, pod: PodState | null): Promise<void> => {
    const state = pod?.phase === 'Running' ? 'running' : 'pending';
    const { work = { job: '', pod: '' }, attempts } = entry.record;
    const isNew = state === 'running' && pod !== null && work.pod !== pod.uid;
    if (entry.record.state === state && !isNew) return;
    await exclusively(entry, async () => {
      const record = {
        ...entry.record,
        state: state as 'running' | 'pending',
        attempts: isNew ? attempts + 1 : attempts,
        work: isNew ? { ...work, pod: pod.uid } : work,
        updateTime: new Date().toISOString(),
      };
      await store.saveGoing(record);
      entry.record = record;
    });
    if (isNew) logger.info({ run: entry.record.specification.runId, pod: pod.name, node: pod.node }, 'training');
  };

  const tell = (run: Attended, words: string): void => {
    if (words === '' || words === run.lastWords) return;
    run.lastWords = words;
    notify(run, words);
  };

  const notify = ({ entry }: Attended, words: string): void => {
    logger.warn({ run: entry.record.specification.runId }, words);
    entry.log.notify(words);
  };

  return {
    worksWhileAway: true,
    get length() {
      return [...attended.keys()].filter(({ record }) => record.state === 'pending').length;
    },
    add(entry) {
      const run: Attended = {
        entry,
        progress: { pod: '', noticeCount: 0 },
        pods: openPodAccount(entry, options),
        outcomeAt: 0,
        lastWords: '',
        retryAt: 0,
        retryMs: firstRetryMs,
        wake: () => {},
      };
      attended.set(entry, run);
      countRun(entry.record.specification.runId, entry.record.state === 'running' ? null : 'starting');
      const work = attend(run).finally(() => {
        // It may have been resumed since.
        if (attended.get(entry) === run) attended.delete(entry);
        working.delete(work);
      });
      working.add(work);
    },
    async cancel(entry) {
      entry.cancelling = true;
      const run = attended.get(entry);
      if (run !== undefined) {
        // Stored before it is answered: else a service that is restarted would make the Job anew.
        await exclusively(entry, async () => {
          const record = { ...entry.record, cancelling: true };
          await store.saveGoing(record);
          entry.record = record;
        });
        return run.wake();
      }
      if (entry.record.state === 'paused') await exclusively(entry, () => endRun(entry, 'cancelled', null));
    },
    async clear(entry) {
      const { runId } = entry.record.specification;
      const goneMs = 60_000;
      for (const began = Date.now(); ; await delay(200)) {
        const job = await client.get(runId);
        if (job === null) break;
        if (!isJobOf(job, entry.record.specification)) throw otherJob(job);
        if (!job.deleting) await client.delete(job);
        if (Date.now() - began > goneMs) {
          throw new KindredError(
            'UNAVAILABLE',
            `the Job of the run's last attempt is still being deleted; retry later`,
          );
        }
      }
      await forget(runId);
    },
    async close() {
      closing.abort();
      for (const { wake } of attended.values()) wake();
      await view.close();
      await Promise.all(working);
    },
  };
}

/** When the run's last checkpoint was committed, by the clock of its pod; empty: there is none. */
function lastCommitTime({ log, storedEvents }: RunEntry): string {
  return log.events[storedEvents - 1]?.time ?? '';
}

// Keeps account of a run's pods while the cluster still knows of them: how each ended, and its log before it is gone with the pod.
import { setTimeout as delay } from 'node:timers/promises';
import { toKindredError } from '@kindred/errors';
import type { JobClient, PodState } from '@kindred/kubernetes-jobs';
import type { Logger } from '@kindred/service-runtime';
import { keptLogBytes, podEndOf, type PodEnds } from './pod-ends.js';
import { endOfPod } from './pod-words.js';
import type { RunEntry } from './run-entry.js';

/** The account of one run's pods. */
export interface PodAccount {
  /** Stores the ends that are not stored yet, and tells of pods that are about to end. */
  take(pods: readonly PodState[]): Promise<void>;
}

/** Where it is kept. */
export interface PodAccountOptions {
  readonly client: Pick<JobClient, 'logTail'>;
  readonly podEnds: PodEnds;
  readonly logger: Logger;
}

/** How often a log is asked for, and the pause between. */
const logTries = 3;
const logPauseMs = 200;
const logPatienceMs = 2_000;

/** Whether a pod does nothing more. */
export function isOver({ phase }: PodState): boolean {
  return phase === 'Failed' || phase === 'Succeeded';
}

/** Opens it for a run. */
export function openPodAccount(entry: RunEntry, { client, podEnds, logger }: PodAccountOptions): PodAccount {
  const { runId } = entry.record.specification;
  /** Of pods that are on their way out: when they have ended there may be nothing left to ask. */
  const early = new Map<string, string | null>();
  let isLoaded = false;

  const logOf = async (pod: PodState): Promise<string | null> => {
    if (pod.node === null) return null;
    for (let tries = 1; ; tries++) {
      const began = performance.now();
      try {
        return await client.logTail(pod.name, keptLogBytes);
      } catch (thrown) {
        const error = toKindredError(thrown);
        logger.info({ run: runId, pod: pod.name, tries }, `no log: ${error.message}`);
        // A node that is busy may answer the next time; a pod that is gone stays gone, and one that says nothing has held up the run enough.
        const wasSlow = performance.now() - began > logPatienceMs;
        if (error.code === 'NOT_FOUND' || wasSlow || tries === logTries) return null;
        await delay(logPauseMs);
      }
    }
  };

  return {
    async take(pods) {
      if (!isLoaded) {
        for (const end of (await podEnds.list(runId)).slice(entry.log.podEnds.length)) entry.log.addPodEnd(end);
        isLoaded = true;
      }
      for (const pod of pods) {
        if (entry.log.podEnds.some(({ uid }) => uid === pod.uid)) continue;
        if (isOver(pod)) {
          // An API server that loses the pod while it answers gives nothing, and says that all is well.
          const words = (await logOf(pod)) || (await podEnds.wordsOf(runId, pod.uid));
          const log = words || early.get(pod.uid) || null;
          const end = await podEnds.add(runId, podEndOf(pod, entry.log.podEnds.length), log);
          early.delete(pod.uid);
          entry.log.addPodEnd(end);
          logger.info({ run: runId, pod: end.pod, reason: end.reason, log: end.log }, end.message);
        } else if (pod.deleting && !early.has(pod.uid)) {
          if (pod.disruption !== null) {
            logger.warn({ run: runId }, endOfPod(pod));
            entry.log.notify(`${endOfPod(pod)}; the run goes on from its last checkpoint in another pod, where it may`);
          }
          early.set(pod.uid, await logOf(pod));
        }
      }
    },
  };
}

// How the pods of a run have ended, and the last that each said: kept beside the run for as long as it is.
import { isKindredError } from '@kindred/errors';
import type { ArtifactStore } from '@kindred/artifact-store';
import type { PodState } from '@kindred/kubernetes-jobs';
import { trainingExit } from './exit-codes.js';
import { endOfPod } from './pod-words.js';
import { runKey } from './run.js';

/** Why a pod ended. */
export type PodEndReason = 'completed' | 'exited' | 'out-of-memory' | 'preempted' | 'evicted' | 'node-lost' | 'deleted';

/** How a pod ended. */
export interface PodEnd {
  /** Place among the ends of the run's pods, from 0. */
  readonly number: number;
  readonly time: string;
  /** Uid of the Job. */
  readonly job: string;
  /** Uid and name of the pod. */
  readonly uid: string;
  readonly pod: string;
  /** Empty: it was given to none. */
  readonly node: string;
  readonly reason: PodEndReason;
  /** Null: its container never ran, or its end was not seen. */
  readonly exitCode: number | null;
  readonly message: string;
  /** Key of its last words; empty: they could not be read. Of the latest pods only, there is something at the key. */
  readonly log: string;
}

/** Reads and writes them. */
export interface PodEnds {
  /** In order; a damaged one ends the list. */
  list(runId: string): Promise<PodEnd[]>;
  /** Stores what the process of a pod, which is about to end, has logged: the cluster may have nothing of it a moment later. */
  leaveWords(runId: string, uid: string, log: Uint8Array): Promise<void>;
  /** Those words of the pod; null: there are none. */
  wordsOf(runId: string, uid: string): Promise<string | null>;
  /** Removes the words of pods that nobody has asked after: the run is over. */
  removeWords(runId: string): Promise<void>;
  /** Stores the next one, its log first, and removes its words. */
  add(runId: string, end: Omit<PodEnd, 'log'>, log: string | null): Promise<PodEnd>;
}

/** Bytes of a pod's log that are kept: its end. */
export const keptLogBytes = 65_536;
/** Logs that a run keeps, the newest. */
const keptLogs = 20;

/** Makes it over a store. */
export function createPodEnds(artifacts: ArtifactStore): PodEnds {
  const keyOf = (runId: string, number: number, suffix: string): string =>
    runKey(runId, `pods/${String(number).padStart(6, '0')}.${suffix}`);
  const wordsKey = (runId: string, uid: string): string => runKey(runId, `pods/${uid}.words`);
  return {
    async leaveWords(runId, uid, log) {
      await artifacts.put(wordsKey(runId, uid), log);
    },
    async wordsOf(runId, uid) {
      try {
        return new TextDecoder().decode(await artifacts.get(wordsKey(runId, uid)));
      } catch (thrown) {
        if (isKindredError(thrown, 'NOT_FOUND')) return null;
        throw thrown;
      }
    },
    async removeWords(runId) {
      for await (const { key } of artifacts.list(runKey(runId, 'pods/'))) {
        if (key.endsWith('.words')) await artifacts.delete(key);
      }
    },
    async list(runId) {
      const ends: PodEnd[] = [];
      for await (const { key } of artifacts.list(runKey(runId, 'pods/'))) {
        if (!key.endsWith('.json')) continue;
        const end = parse(await artifacts.get(key));
        if (end === null || end.number !== ends.length) break;
        ends.push(end);
      }
      return ends;
    },
    async add(runId, end, log) {
      const key = log === null ? '' : keyOf(runId, end.number, 'log');
      const bytes = new TextEncoder().encode(log ?? '');
      if (log !== null) await artifacts.put(key, bytes.subarray(Math.max(0, bytes.length - keptLogBytes)));
      const stored = { ...end, log: key };
      await artifacts.put(keyOf(runId, end.number, 'json'), new TextEncoder().encode(JSON.stringify(stored)));
      await artifacts.delete(wordsKey(runId, end.uid));
      const old = end.number - keptLogs;
      if (old >= 0) await artifacts.delete(keyOf(runId, old, 'log'));
      return stored;
    },
  };
}

/** The end of a pod that has ended; `number` is its place. */
export function podEndOf(pod: PodState, number: number): Omit<PodEnd, 'log'> {
  return {
    number,
    time: pod.exit?.time ?? new Date().toISOString(),
    job: pod.jobUid,
    uid: pod.uid,
    pod: pod.name,
    node: pod.node ?? '',
    reason: reasonOf(pod),
    exitCode: pod.exit?.code ?? null,
    message: endOfPod(pod),
  };
}

/** Pods of a Job that ended by a fault of their own, in a row since the time of the run's last checkpoint. */
export function faultsSince(ends: readonly PodEnd[], job: string, checkpointTime: string): number {
  const own = ends.filter((end) => end.job === job && end.time > checkpointTime);
  return own.filter(({ reason }) => reason === 'exited' || reason === 'out-of-memory').length;
}

/** By the word of the cluster's that says why it ends a pod (`DisruptionTarget`). */
const disruptions: Readonly<Record<string, PodEndReason>> = {
  PreemptionByScheduler: 'preempted',
  PreemptionByKubeScheduler: 'preempted',
  DeletionByTaintManager: 'node-lost',
  DeletionByPodGC: 'node-lost',
};

/** What a process says that ends by a signal: SIGTERM as training-run does, or SIGKILL. */
const endedBySignal: readonly number[] = [trainingExit.stopped, 137];

function reasonOf({ deleting, disruption, exit, phase }: PodState): PodEndReason {
  if (disruption !== null) return disruptions[disruption.reason] ?? 'evicted';
  if (exit?.reason === 'OOMKilled') return 'out-of-memory';
  // Somebody has deleted it: Kueue that suspends its Job, a person, a cancel. Not a fault of its own.
  if (deleting && exit !== null && endedBySignal.includes(exit.code)) return 'deleted';
  if (exit === null) return phase === 'Succeeded' ? 'completed' : 'deleted';
  return exit.code === 0 ? 'completed' : 'exited';
}

function parse(bytes: Uint8Array): PodEnd | null {
  try {
    const value = JSON.parse(new TextDecoder().decode(bytes)) as PodEnd | null;
    return typeof value?.number === 'number' && typeof value.uid === 'string' ? value : null;
  } catch {
    return null;
  }
}

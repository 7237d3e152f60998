// What the cluster says of a run's pods, for people.
import type { JobState, PodState } from '@kindred/kubernetes-jobs';
import type { WaitReason } from './run-metrics.js';

/** How a pod ended: `pod r1-x4x2p on node gpu-1 was ended by the cluster (PreemptionByScheduler: …)`. */
export function endOfPod({ name, node, disruption, exit }: PodState): string {
  const place = node === null ? `pod ${name}` : `pod ${name} on node ${node}`;
  if (disruption !== null) return `${place} was ended by the cluster (${words(disruption)})`;
  if (exit === null) return `${place} ended without a word`;
  if (exit.reason === 'OOMKilled') return `${place} was killed since it needs more memory than its limit (OOMKilled)`;
  return `${place} ended with exit code ${exit.code}${exit.reason === 'Error' ? '' : ` (${exit.reason})`}`;
}

/** Why a run waits; empty: nothing is known that a person could do something about. */
export function waitingReason(
  job: JobState,
  pod: PodState | null,
  warning: string | null,
  queue: string | null,
): string {
  if (job.suspended) return `waits: the Job is held back${queue === null ? '' : ` by queue ${queue}`}`;
  if (pod !== null) return pod.waits === null ? '' : `waits: pod ${pod.name}: ${words(pod.waits)}`;
  return warning === null ? '' : `waits: the cluster makes no pod for it: ${warning}`;
}

/** What kind of wait that is. */
export function waitKind(job: JobState, pod: PodState | null, warning: string | null): WaitReason {
  if (job.suspended) return 'queue';
  if (pod === null) return warning?.includes('quota') === true ? 'quota' : 'starting';
  if (pod.waits === null) return 'starting';
  return pod.waits.reason === 'Unschedulable' || pod.waits.reason === 'SchedulingGated' ? 'scheduling' : 'image';
}

function words({ reason, message }: { readonly reason: string; readonly message: string }): string {
  return message === '' ? reason : `${reason}: ${message}`;
}

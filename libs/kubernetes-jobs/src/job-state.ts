// Jobs and pods as plain data: what decides where a Job stands, every field present, "nothing" is null.
import type { V1ContainerStateTerminated, V1ContainerStatus, V1Job, V1Pod } from '@kubernetes/client-node';

/** A `batch/v1` Job as an object of JSON: what is created, or the template of it. */
export interface JobManifest {
  readonly metadata?: { readonly labels?: Labels; readonly annotations?: Labels };
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the schema is the API server's, which checks it.
  readonly spec: any;
}

type Labels = Readonly<Record<string, string>>;

/** Where a Job stands. */
export interface JobState {
  readonly name: string;
  readonly uid: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  /** Held back: a queue has not admitted it, or a person suspended it. */
  readonly suspended: boolean;
  readonly complete: boolean;
  /** Why it has failed for good; null: it has not. */
  readonly failed: Reason | null;
  /** It is being deleted. */
  readonly deleting: boolean;
}

/** A reason of the cluster's: a word of its API, and a sentence. */
export interface Reason {
  readonly reason: string;
  readonly message: string;
}

/** Where a pod of a Job stands. */
export interface PodState {
  readonly name: string;
  readonly uid: string;
  readonly labels: Labels;
  /** Of the Job that made it. */
  readonly jobUid: string;
  readonly phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';
  /** Node that it was given to; null: none yet. */
  readonly node: string | null;
  readonly createTime: string;
  readonly deleting: boolean;
  /** Why it waits: no node fits, or its container cannot be started; null: nothing is known to be wrong. */
  readonly waits: Reason | null;
  /** Why the cluster ends it (preempted, evicted, its node lost); null: it does not. */
  readonly disruption: Reason | null;
  /** How its first container ended; null: it has not. */
  readonly exit: { readonly code: number; readonly reason: string; readonly time: string | null } | null;
}

/** A Job of the API. */
export function jobStateOf({ metadata, spec, status }: V1Job): JobState {
  const condition = (type: string) => status?.conditions?.find((one) => one.type === type && one.status === 'True');
  const failed = condition('Failed');
  return {
    name: metadata?.name ?? '',
    uid: metadata?.uid ?? '',
    labels: metadata?.labels ?? {},
    annotations: metadata?.annotations ?? {},
    suspended: spec?.suspend ?? false,
    complete: condition('Complete') !== undefined,
    failed: failed === undefined ? null : reasonOf(failed),
    deleting: metadata?.deletionTimestamp !== undefined,
  };
}

/** A pod of the API. */
export function podStateOf({ metadata, spec, status }: V1Pod): PodState {
  const unscheduled = status?.conditions?.find(({ type, status: is }) => type === 'PodScheduled' && is === 'False');
  const disruption = status?.conditions?.find(({ type, status: is }) => type === 'DisruptionTarget' && is === 'True');
  const container = status?.containerStatuses?.[0];
  // A kubelet that evicts a pod writes this, and no condition before Kubernetes 1.26.
  const evicted = status?.reason === undefined ? null : { reason: status.reason, message: status.message ?? '' };
  const terminated = container?.state?.terminated;
  return {
    name: metadata?.name ?? '',
    uid: metadata?.uid ?? '',
    labels: metadata?.labels ?? {},
    jobUid: metadata?.ownerReferences?.find(({ kind }) => kind === 'Job')?.uid ?? '',
    phase: (status?.phase ?? 'Pending') as PodState['phase'],
    node: spec?.nodeName ?? null,
    // A list gives a Date, a watch the text of JSON.
    createTime: new Date(metadata?.creationTimestamp ?? 0).toISOString(),
    deleting: metadata?.deletionTimestamp !== undefined,
    waits: unscheduled === undefined ? waitsOf(container) : reasonOf(unscheduled),
    disruption: disruption === undefined ? evicted : reasonOf(disruption),
    exit: terminated === undefined ? null : exitOf(terminated),
  };
}

function exitOf({ exitCode, reason = '', finishedAt }: V1ContainerStateTerminated): NonNullable<PodState['exit']> {
  return { code: exitCode, reason, time: finishedAt === undefined ? null : new Date(finishedAt).toISOString() };
}

/** What a container that starts is in anyway, and nothing to tell. */
const harmless: readonly string[] = ['ContainerCreating', 'PodInitializing'];

function waitsOf(container: V1ContainerStatus | undefined): Reason | null {
  const waiting = container?.state?.waiting;
  return waiting?.reason === undefined || harmless.includes(waiting.reason) ? null : reasonOf(waiting);
}

function reasonOf(found: { readonly reason?: string; readonly message?: string } | undefined): Reason {
  return { reason: found?.reason ?? '', message: found?.message ?? '' };
}

// Runs and their events as the contract writes them.
import { canonicalJson } from '@kindred/experiment';
import * as training from '@kindred/protocol/training';
import type { Watched } from './event-log.js';
import type { PodEnd, PodEndReason } from './pod-ends.js';
import { runKey, type Notice, type RunEvent, type RunEventBody, type RunFailure, type RunState } from './run.js';
import type { RunView } from './run-entry.js';
import { toWireResources } from './run-resources.js';
import type { DamagedRun } from './runs.js';

const states: Record<RunState, training.RunState> = {
  pending: training.RunState.PENDING,
  running: training.RunState.RUNNING,
  paused: training.RunState.PAUSED,
  succeeded: training.RunState.SUCCEEDED,
  failed: training.RunState.FAILED,
  cancelled: training.RunState.CANCELLED,
};

const stopReasons = {
  'limit-steps': training.StopReason.LIMIT_STEPS,
  'early-stop': training.StopReason.EARLY_STOP,
} as const;

const podEndReasons: Record<PodEndReason, training.PodEndReason> = {
  completed: training.PodEndReason.COMPLETED,
  exited: training.PodEndReason.EXITED,
  'out-of-memory': training.PodEndReason.OUT_OF_MEMORY,
  preempted: training.PodEndReason.PREEMPTED,
  evicted: training.PodEndReason.EVICTED,
  'node-lost': training.PodEndReason.NODE_LOST,
  deleted: training.PodEndReason.DELETED,
};
/** Ends of pods that a run's description holds. */
const shownPodEnds = 10;

/** A run as the contract's message. */
export function toWireRun({ record, events, notices, podEnds }: RunView): training.Run {
  const { specification, state, failure } = record;
  const bodies = events.map(({ body }) => body);
  const epochs = bodies.filter((body) => body.kind === 'epoch');
  const checks = bodies.filter((body) => body.kind === 'knn');
  const checkpoints = bodies.filter((body) => body.kind === 'checkpoint');
  const written = [checkpoints.findLast(({ best }) => best)?.key, checkpoints.at(-1)?.key];
  const model = runKey(specification.runId, 'model.safetensors');
  return {
    runId: specification.runId,
    state: states[state],
    experimentJson: canonicalJson(specification.experiment),
    dataRoot: specification.dataRoot,
    seed: BigInt(specification.seed),
    epochsCompleted: epochs.length,
    stepsCompleted: BigInt(stepsIn(bodies)),
    attempts: record.attempts,
    createTime: new Date(specification.createTime),
    updateTime: new Date(record.updateTime),
    failure: failure === null ? undefined : toWireFailure(failure),
    untrainedKnnTop1: checks.find(({ epochsTrained }) => epochsTrained === 0)?.top1,
    knnTop1: checks.filter(({ epochsTrained }) => epochsTrained > 0).map(({ top1 }) => top1),
    meanLoss: epochs.map(({ meanLoss }) => meanLoss),
    model: record.artifacts.includes(model) ? specification.runId : '',
    artifacts: [...record.artifacts, ...new Set(written.filter((key) => key !== undefined))],
    eventCount: BigInt(events.length),
    notices: notices.map(toWireNotice),
    linearProbeTop1: bodies.findLast((body) => body.kind === 'linear-probe')?.top1,
    backboneKnnTop1: checks.at(-1)?.backboneTop1,
    resources: toWireResources(specification.resources),
    podEnds: podEnds.slice(-shownPodEnds).map(toWirePodEnd),
  };
}

/** A run that could not be read: failed, with nothing known of it but its id. */
export function toWireDamagedRun({ runId, notice }: DamagedRun): training.Run {
  return training.Run.fromPartial({
    runId,
    state: training.RunState.FAILED,
    failure: { code: 'DATA_LOSS', message: notice.message },
    notices: [toWireNotice(notice)],
  });
}

/** What a watcher receives, as the contract's message. */
export function toWireWatched(watched: Watched): training.WatchRunResponse {
  if ('podEnd' in watched) return { content: { $case: 'podEnded', value: toWirePodEnd(watched.podEnd) } };
  if ('event' in watched) return { content: { $case: 'event', value: toWireEvent(watched.event) } };
  return { content: { $case: 'notice', value: toWireNotice(watched.notice) } };
}

/** Steps that the events tell of, over all epochs. */
function stepsIn(bodies: readonly RunEventBody[]): number {
  const started = bodies.find((body) => body.kind === 'started');
  const stepsPerEpoch = started?.stepsPerEpoch ?? 0;
  const last = bodies.findLast(({ kind }) => kind === 'step' || kind === 'epoch' || kind === 'checkpoint');
  if (last?.kind === 'step') return last.epoch * stepsPerEpoch + last.step + 1;
  if (last?.kind === 'epoch') return (last.epoch + 1) * stepsPerEpoch;
  return last?.kind === 'checkpoint' ? last.stepsCompleted : 0;
}

function toWireFailure({ stepsCompleted, ...failure }: RunFailure): training.RunFailure {
  return { ...failure, stepsCompleted: stepsCompleted === null ? undefined : BigInt(stepsCompleted) };
}

function toWirePodEnd({ number, time, pod, node, reason, exitCode, message, log }: PodEnd): training.PodEnded {
  return {
    ...{ pod, node, message, log },
    number: BigInt(number),
    time: new Date(time),
    reason: podEndReasons[reason],
    exitCode: exitCode ?? undefined,
  };
}

function toWireNotice({ time, message }: Notice): training.Notice {
  return { time: new Date(time), message };
}

function toWireEvent({ number, time, body }: RunEvent): training.RunEvent {
  return { number: BigInt(number), time: new Date(time), kind: toWireKind(body) };
}

function toWireKind(body: RunEventBody): NonNullable<training.RunEvent['kind']> {
  switch (body.kind) {
    case 'started':
      return {
        $case: 'started',
        value: { ...body, parameterCount: BigInt(body.parameterCount), limitSteps: BigInt(body.limitSteps) },
      };
    case 'step':
      return { $case: 'stepCompleted', value: body };
    case 'knn':
      return { $case: 'knnEvaluated', value: body };
    case 'linear-probe':
      return { $case: 'linearProbeEvaluated', value: body };
    case 'epoch':
      return { $case: 'epochCompleted', value: { ...body, residentBytes: BigInt(body.residentBytes) } };
    case 'checkpoint':
      return {
        $case: 'checkpointWritten',
        value: { ...body, stepsCompleted: BigInt(body.stepsCompleted), knnTop1: body.knnTop1 ?? undefined },
      };
    case 'stopped':
      return {
        $case: 'stopped',
        value: {
          ...body,
          reason: stopReasons[body.reason],
          stepsCompleted: BigInt(body.stepsCompleted),
          bestKnnTop1: body.bestKnnTop1 ?? undefined,
        },
      };
    case 'ended': {
      const failure = body.failure === null ? undefined : toWireFailure(body.failure);
      return { $case: 'ended', value: { state: states[body.state], failure } };
    }
  }
}
